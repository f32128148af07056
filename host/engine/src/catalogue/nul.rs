//! The character NUL, which no row can hold and not every database takes in a question.
//!
//! It is refused where it comes in. A command that has it could be decided; but once an event has it, no read model can show
//! that event, and its stream would wait for other code.

use serde_json::Value;
use yado_model::schema::Problem;

/// Where arguments have one.
pub(super) fn problems(arguments: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    // Hardly anybody has one: to look costs nothing, where to tell costs a path for each value.
    if anywhere(arguments) {
        tell(arguments, &mut Vec::new(), &mut problems);
    }
    problems
}

fn anywhere(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || anywhere(value)),
        Value::Array(items) => items.iter().any(anywhere),
        Value::String(text) => text.contains('\0'),
        _ => false,
    }
}

fn tell(value: &Value, path: &mut Vec<String>, problems: &mut Vec<Problem>) {
    let mut below = |step: String, value: &Value| {
        path.push(step);
        tell(value, path, problems);
        path.pop();
    };
    let is_here = match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| below(name.clone(), value));
            fields.keys().any(|name| name.contains('\0'))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| below(at.to_string(), item));
            false
        }
        Value::String(text) => text.contains('\0'),
        _ => false,
    };
    if is_here {
        let message = "must not contain the character NUL, which no row has".to_owned();
        problems.push(Problem { path: path.clone(), message });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_told_where_one_is_found() {
        let paths = |value: Value| problems(&value).iter().map(Problem::pointer).collect::<Vec<_>>();
        assert_eq!(paths(json!({ "a": ["b", { "c": "d\0" }], "e": 1 })), ["/a/1/c"]);
        assert_eq!(paths(json!({ "a": { "b\0": 1 }, "c": "\0" })), ["/a", "/c"]);
        assert!(problems(&json!({ "a": ["b", { "c": "\u{1}" }], "d": null })).is_empty());
    }
}
