//! How names of a manifest become names of the API.
//!
//! Commands and read models are named in Pascal case, and GraphQL's fields begin with a small letter. Properties keep
//! their names: what an author wrote into a payload is what a caller writes into an input.

/// A field's name: `CreateTicket` is `createTicket`, and `SKUList` is `skuList`.
#[must_use]
pub fn field(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut result = String::with_capacity(name.len());
    for (at, letter) in letters.iter().enumerate() {
        // Of a run of capitals the last one begins the next word, if a small letter follows it.
        let begins_word = at > 0 && letters.get(at + 1).is_some_and(char::is_ascii_lowercase);
        if !letter.is_ascii_uppercase() || begins_word {
            result.extend(&letters[at..]);
            return result;
        }
        result.push(letter.to_ascii_lowercase());
    }
    result
}

/// A type's name out of the name of a property: `line_items` and `lineItems` are both `LineItems`.
pub(crate) fn pascal(name: &str) -> String {
    name.split('_')
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
        })
        .collect()
}

/// Words whose plural no rule gives, and words for which a rule gives the wrong one.
const IRREGULAR: [(&str, &str); 20] = [
    ("person", "people"),
    ("child", "children"),
    ("woman", "women"),
    ("man", "men"),
    ("foot", "feet"),
    ("tooth", "teeth"),
    ("mouse", "mice"),
    ("goose", "geese"),
    ("shelf", "shelves"),
    ("leaf", "leaves"),
    ("half", "halves"),
    ("life", "lives"),
    ("knife", "knives"),
    ("wife", "wives"),
    ("quiz", "quizzes"),
    ("index", "indices"),
    ("hero", "heroes"),
    ("echo", "echoes"),
    ("veto", "vetoes"),
    ("datum", "data"),
];

/// The plural of an English noun in camel or Pascal case; of a compound, its last word's: `orderLine`, `orderLines`.
pub(crate) fn plural(name: &str) -> String {
    let last = name.rfind(|c: char| c.is_ascii_uppercase() || c == '_').unwrap_or(0);
    let (before, word) = name.split_at(last);
    let lower = word.trim_start_matches('_').to_ascii_lowercase();
    if let Some((singular, plural)) = IRREGULAR.iter().find(|(singular, _)| *singular == lower) {
        // Both begin with the same letter or its capital stays out of the part that is replaced.
        let kept = singular.bytes().zip(plural.bytes()).take_while(|(a, b)| a == b).count().max(1);
        let stem = &word[..word.len() - singular.len() + kept];
        return format!("{before}{stem}{}", &plural[kept..]);
    }
    let stem = |cut: usize| format!("{before}{}", &word[..word.len() - cut]);
    let after_consonant =
        |ending: char| lower.strip_suffix(ending).is_some_and(|rest| rest.ends_with(|c: char| !"aeiou".contains(c)));
    if lower.ends_with("sis") || lower.ends_with("xis") {
        stem(2) + "es"
    } else if ["s", "x", "z", "ch", "sh"].iter().any(|ending| lower.ends_with(ending)) {
        stem(0) + "es"
    } else if after_consonant('y') {
        stem(1) + "ies"
    } else {
        stem(0) + "s"
    }
}

/// Whether a text can be a value of a GraphQL enum.
#[must_use]
pub fn is_enum_value(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    begins
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !text.starts_with("__")
        && !["true", "false", "null"].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_begins_with_a_small_letter() {
        let cases = [("CreateTicket", "createTicket"), ("SKU", "sku"), ("SKUList", "skuList"), ("a", "a"), ("X", "x")];
        for (name, expected) in cases {
            assert_eq!(field(name), expected);
        }
    }

    #[test]
    fn a_propertys_name_becomes_a_types_name() {
        for (name, expected) in [("line_items", "LineItems"), ("lineItems", "LineItems"), ("seat", "Seat")] {
            assert_eq!(pascal(name), expected);
        }
    }

    #[test]
    fn plurals_are_those_of_english() {
        for (one, many) in [
            ("ticket", "tickets"),
            ("library", "libraries"),
            ("Day", "Days"),
            ("box", "boxes"),
            ("branch", "branches"),
            ("status", "statuses"),
            ("analysis", "analyses"),
            ("Person", "People"),
            ("salesPerson", "salesPeople"),
            ("orderLine", "orderLines"),
            ("bookShelf", "bookShelves"),
            ("index", "indices"),
            ("photo", "photos"),
            ("Foot", "Feet"),
        ] {
            assert_eq!(plural(one), many);
        }
    }

    #[test]
    fn not_every_text_is_an_enum_value() {
        for (text, is) in [("OPEN", true), ("in_hall_2", true), ("2nd", false), ("sold out", false), ("null", false)] {
            assert_eq!(is_enum_value(text), is, "{text}");
        }
    }
}
