//! From the text of a document to the operation that is to run.
//!
//! The parser behind this recurses with every bracket, and so would run off the stack on a document of nothing but
//! brackets. The text is therefore walked once, without recursion, before the parser sees it.

use async_graphql::Positioned;
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::parser::{self, parse_query};

use crate::Limits;
use crate::api::{MUTATION, QUERY, SUBSCRIPTION};
use crate::error::{self, Error};

/// Parses a document.
///
/// # Errors
/// Says what is wrong with it, and where.
pub(crate) fn parse(text: &str, limits: &Limits) -> Result<ExecutableDocument, async_graphql::ServerError> {
    Error::within("bytes", text.len() as u64, limits.document_bytes as u64).map_err(|e| e.whole())?;
    Error::within("levels of brackets", nesting(text), limits.nesting_max.into()).map_err(|e| e.whole())?;
    parse_query(text).map_err(|e| {
        let said = match &e {
            // The parser draws a picture of the place. What it wanted there stands on the last line, and the place is
            // told beside the text.
            parser::Error::Syntax { message, .. } => {
                message.lines().last().unwrap_or_default().trim_matches([' ', '=']).to_owned()
            }
            other => other.to_string(),
        };
        let mut error = error::invalid(e.into());
        error.message = format!("the document is not GraphQL: {said}");
        error
    })
}

/// The operation that is to run.
///
/// # Errors
/// If it is not clear which one that is.
pub(crate) fn operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a Positioned<OperationDefinition>, Error> {
    match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Ok(operation),
        (DocumentOperations::Single(_), Some(name)) => Err(unknown(name)),
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name).ok_or_else(|| unknown(name)),
        (DocumentOperations::Multiple(all), None) => match all.values().next() {
            Some(operation) if all.len() == 1 => Ok(operation),
            _ => Err(Error::input("the document has several operations: say which one to run with operationName")),
        },
    }
}

fn unknown(name: &str) -> Error {
    let name: String = name.chars().take(80).collect();
    Error::input(format!("the document has no operation {name:?}: operationName must be one of its operations' names"))
}

/// Whether an operation changes something.
pub(crate) fn is_mutation(operation: &OperationDefinition) -> bool {
    operation.ty == OperationType::Mutation
}

/// The type in which an operation begins.
pub(crate) const fn root(operation: &OperationDefinition) -> &'static str {
    match operation.ty {
        OperationType::Query => QUERY,
        OperationType::Mutation => MUTATION,
        OperationType::Subscription => SUBSCRIPTION,
    }
}

/// How deeply brackets are nested, outside of strings and comments.
fn nesting(text: &str) -> u64 {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut deepest) = (0, 0_u64, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => at += bytes[at..].iter().take_while(|b| !matches!(b, b'\n' | b'\r')).count() - 1,
            b'"' => at += string(&bytes[at..]) - 1,
            _ => {}
        }
        at += 1;
    }
    deepest
}

/// The length of the string that begins here. One that does not end is a mistake that the parser finds; what follows the
/// line that it stands on is looked at as if it had ended there.
fn string(bytes: &[u8]) -> usize {
    let block = bytes.starts_with(b"\"\"\"");
    let mut at = if block { 3 } else { 1 };
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if block && bytes[at..].starts_with(b"\\\"\"\"") => at += 4,
            b'\\' if !block => at += 2,
            b'"' if !block => return at + 1,
            b'"' if bytes[at..].starts_with(b"\"\"\"") => return at + 3,
            b'\n' | b'\r' if !block => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = parse(text, &Limits::default()).unwrap_err();
        let code = error.extensions.as_ref().and_then(|e| e.get("code")).unwrap().to_string();
        format!("{code} {}", error.message)
    }

    #[test]
    fn brackets_are_counted_where_they_are_brackets() {
        for (text, expected) in [
            ("{a}", 1),
            ("{a(b: [{c: 1}])}", 4),
            ("{a} # {{{{\n{b}", 1),
            (r#"{a(b: "{{{\"{{")}"#, 2),
            ("{a(b: \"\"\"{{{\\\"\"\"{{ \" \"\"\")}", 2),
            ("{a(b: \"{{{\n {{", 4),
            ("}}}{", 1),
            ("\"\"\"{", 0),
            ("\"\\", 0),
        ] {
            assert_eq!(nesting(text), expected, "{text}");
        }
    }

    #[test]
    fn a_document_of_nothing_but_brackets_is_refused_before_the_parser_sees_it() {
        for bracket in ["{", "{a", "{a(b:[", "query($a:[", "{a(b:{c:"] {
            let text = bracket.repeat(60_000 / bracket.len());
            assert!(refused(&text).contains("levels of brackets, and at most 64 are allowed"), "{bracket}");
        }
    }

    #[test]
    fn the_parser_takes_as_much_as_the_limit_allows() {
        let limits = Limits::default();
        let levels = limits.nesting_max as usize;
        for (open, close) in [("{a", "}"), ("[", "]"), ("{b:", "}")] {
            let count = if open == "{a" { levels } else { levels - 2 };
            let nested =
                format!("{}{}{}", open.repeat(count), if open == "{a" { "" } else { "1" }, close.repeat(count));
            let text = if open == "{a" { nested } else { format!("{{a(b: {nested})}}") };
            // Whether it is sound is another matter: it must not end the process.
            let _ = parse(&text, &limits);
        }
    }

    #[test]
    fn a_document_that_is_too_long_is_refused_with_the_figures() {
        let text = format!("{{a}} # {}", "x".repeat(70_000));
        assert_eq!(
            refused(&text),
            "\"TOO_COMPLEX\" the document has 70006 bytes, and at most 65536 are allowed: ask for less at a time"
        );
    }

    #[test]
    fn what_is_no_graphql_is_bad_input() {
        assert!(refused("{").starts_with("\"BAD_USER_INPUT\""));
        assert!(refused("").starts_with("\"BAD_USER_INPUT\""));
    }

    #[test]
    fn the_operation_must_be_named_if_there_are_several() {
        let document = parse("query A {a} query B {b}", &Limits::default()).unwrap();
        assert!(operation(&document, None).unwrap_err().to_string().contains("operationName"));
        assert!(operation(&document, Some("C")).is_err());
        assert!(operation(&document, Some("B")).is_ok());
    }
}
