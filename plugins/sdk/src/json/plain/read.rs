//! Reading.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::de::StrRead;

use super::NotPlain;
use super::text::plain_length;

/// More lists and structs within each other than this are not plain: each takes up some of a small stack.
const DEEPEST: u8 = 32;

/// So many digits fit into 64 bits, whichever they are.
const SURE_DIGITS: usize = 19;

/// A value, if the document is plain.
pub(in super::super) fn read<T: DeserializeOwned>(document: &str) -> Option<T> {
    let mut reader = Reader { rest: document, depth: 0 };
    let value = T::deserialize(&mut reader).ok()?;
    reader.rest.is_empty().then_some(value)
}

/// The names and the values of an object, if it is plain in between. The values are not looked into.
pub(in super::super) fn entries(document: &str) -> Option<Vec<(Cow<'_, str>, &str)>> {
    let mut reader = Reader { rest: document, depth: 0 };
    let mut entries = Vec::with_capacity(8);
    reader.take("{").ok()?;
    while reader.rest != "}" {
        if !entries.is_empty() {
            reader.take(",").ok()?;
        }
        let name = reader.text().ok()?;
        reader.take(":").ok()?;
        entries.push((Cow::Borrowed(name), reader.value().ok()?));
    }
    Some(entries)
}

struct Reader<'de> {
    rest: &'de str,
    depth: u8,
}

type Read<T> = Result<T, NotPlain>;

impl<'de> Reader<'de> {
    fn next(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    fn take(&mut self, part: &str) -> Read<()> {
        self.rest = self.rest.strip_prefix(part).ok_or(NotPlain)?;
        Ok(())
    }

    /// Takes so many bytes, which is to be as far as whole letters go.
    fn bytes(&mut self, length: usize) -> Read<&'de str> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(NotPlain)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A text without escapes.
    fn text(&mut self) -> Read<&'de str> {
        self.take("\"")?;
        let text = self.bytes(plain_length(self.rest.as_bytes()))?;
        self.take("\"")?;
        Ok(text)
    }

    /// A number, which is taken for one by its letters alone.
    fn number(&mut self) -> Read<&'de str> {
        let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        self.bytes(self.rest.bytes().take_while(part).count())
    }

    /// An integer as integers are written. If there is none, nothing is taken.
    fn integer(&mut self) -> Read<Integer> {
        let negative = self.next() == Some(b'-');
        let digits = self.rest.as_bytes().get(usize::from(negative)..).unwrap_or_default();
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // `01` is no number, and minus zero is none of the integers.
        let plain = match digits.first() {
            Some(b'0') => count == 1 && !negative,
            _ => count > 0,
        };
        if !plain || matches!(digits.get(count), Some(b'.' | b'e' | b'E')) {
            return Err(NotPlain);
        }
        // What has more digits is left to the long way, though some of it would fit: in WebAssembly, to find out whether it
        // does takes longer than to read the number.
        if count > SURE_DIGITS {
            return Err(NotPlain);
        }
        let number = digits.iter().take(count).fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
        let integer = if negative {
            Integer::Negative(0_i64.checked_sub_unsigned(number).ok_or(NotPlain)?)
        } else {
            Integer::Positive(number)
        };
        self.bytes(usize::from(negative) + count)?;
        Ok(integer)
    }

    /// A value as it stands there, which is not looked into.
    fn value(&mut self) -> Read<&'de str> {
        let bytes = self.rest.as_bytes();
        let (mut at, mut depth) = (0, 0_usize);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => at = end_of_text(bytes, at + 1)?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 0 => depth -= 1,
                b',' | b'}' | b']' if depth == 0 => break,
                _ => {}
            }
            at += 1;
        }
        if at == 0 || depth > 0 { Err(NotPlain) } else { self.bytes(at) }
    }

    /// Goes into a list or a struct.
    fn within<T>(&mut self, from: &str, body: impl FnOnce(&mut Self) -> Read<T>, to: &str) -> Read<T> {
        self.take(from)?;
        self.depth = Some(self.depth + 1).filter(|depth| *depth <= DEEPEST).ok_or(NotPlain)?;
        let inside = body(self)?;
        self.depth -= 1;
        self.take(to)?;
        Ok(inside)
    }
}

enum Integer {
    Positive(u64),
    Negative(i64),
}

impl Integer {
    fn shown_to<'de, V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        match self {
            Self::Positive(number) => visitor.visit_u64(number),
            Self::Negative(number) => visitor.visit_i64(number),
        }
    }
}

/// Where the quote is that ends a text.
fn end_of_text(bytes: &[u8], mut at: usize) -> Read<usize> {
    loop {
        at += plain_length(bytes.get(at..).ok_or(NotPlain)?);
        match bytes.get(at).ok_or(NotPlain)? {
            b'"' => return Ok(at),
            b'\\' => at += 2,
            _ => return Err(NotPlain),
        }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
            self.integer()?.shown_to(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = NotPlain;

    integers!(deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    integers!(deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        let truth = self.next() == Some(b't');
        self.take(if truth { "true" } else { "false" })?;
        visitor.visit_bool(truth)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        // Which of two neighbours a fraction becomes is `serde_json`'s to say.
        long_way(self.number()?, |reader| reader.deserialize_f64(visitor))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        if self.next() == Some(b'n') {
            self.take("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Read<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        visitor.visit_enum(BorrowedStrDeserializer::new(self.text()?))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.within("[", |reader| visitor.visit_seq(Items { reader, begun: false }), "]")
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Read<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, _: usize, visitor: V) -> Read<V::Value> {
        self.deserialize_seq(visitor)
    }

    /// Its fields in their order, as if they had no names.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Read<V::Value> {
        let columns = |reader: &mut Reader<'de>| {
            let mut columns = Columns { reader, fields: fields.iter(), begun: false };
            let value = visitor.visit_seq(&mut columns)?;
            // Some names may be other names of the same field.
            if columns.fields.next().is_some() { Err(NotPlain) } else { Ok(value) }
        };
        self.within("{", columns, "}")
    }

    /// A part that is not plain by itself: a document of any shape, a map.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        long_way(self.value()?, |reader| reader.deserialize_any(visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        long_way(self.value()?, |reader| reader.deserialize_map(visitor))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        self.deserialize_str(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Read<V::Value> {
        long_way(self.number()?, |reader| reader.deserialize_f32(visitor))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, _: V) -> Read<V::Value> {
        Err(NotPlain)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, _: V) -> Read<V::Value> {
        Err(NotPlain)
    }

    forward_to_deserialize_any! { i128 u128 unit unit_struct identifier ignored_any }
}

/// Reads a part as `serde_json` does.
fn long_way<'de, T>(
    part: &'de str,
    read: impl FnOnce(&mut serde_json::Deserializer<StrRead<'de>>) -> serde_json::Result<T>,
) -> Read<T> {
    let mut reader = serde_json::Deserializer::from_str(part);
    let value = read(&mut reader).map_err(|_| NotPlain)?;
    reader.end().map_err(|_| NotPlain)?;
    Ok(value)
}

struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    begun: bool,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = NotPlain;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        if self.reader.next() == Some(b']') {
            return Ok(None);
        }
        if std::mem::replace(&mut self.begun, true) {
            self.reader.take(",")?;
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

struct Columns<'a, 'de> {
    reader: &'a mut Reader<'de>,
    fields: std::slice::Iter<'static, &'static str>,
    begun: bool,
}

impl<'de> SeqAccess<'de> for Columns<'_, 'de> {
    type Error = NotPlain;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Read<Option<T::Value>> {
        let Some(field) = self.fields.next() else { return Ok(None) };
        // A name that would be written with escapes is not found by itself.
        if plain_length(field.as_bytes()) < field.len() {
            return Err(NotPlain);
        }
        self.reader.take(if std::mem::replace(&mut self.begun, true) { ",\"" } else { "\"" })?;
        self.reader.take(field)?;
        self.reader.take("\":")?;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}
