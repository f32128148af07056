//! Writing.

use serde::ser::{Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeTuple, SerializeTupleStruct};
use serde::{Serialize, Serializer};

use super::NotPlain;
use super::text::plain_length;

/// Writes a value behind what is there already. If it is not plain, a part of it may have been written.
pub(in super::super) fn write<T: Serialize + ?Sized>(value: &T, text: &mut String) -> Result<(), NotPlain> {
    value.serialize(Writer(text))
}

struct Writer<'a>(&'a mut String);

/// A list or a struct that is being written.
struct Parts<'a> {
    text: &'a mut String,
    begun: bool,
    end: char,
}

type Written<T> = Result<T, NotPlain>;

impl<'a> Writer<'a> {
    fn parts(self, begin: char, end: char) -> Parts<'a> {
        self.0.push(begin);
        Parts { text: self.0, begun: false, end }
    }

    /// What `serde_json` writes of it.
    fn long_way<T: Serialize + ?Sized>(self, value: &T) -> Written<()> {
        self.0.push_str(&serde_json::to_string(value).map_err(|_| NotPlain)?);
        Ok(())
    }
}

impl Parts<'_> {
    fn next(&mut self) {
        if std::mem::replace(&mut self.begun, true) {
            self.text.push(',');
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        self.next();
        value.serialize(Writer(self.text))
    }

    fn finish(self) -> Written<()> {
        self.text.push(self.end);
        Ok(())
    }
}

macro_rules! integers {
    ($($method:ident $integer:ty,)*) => {$(
        fn $method(self, value: $integer) -> Written<()> {
            self.0.push_str(itoa::Buffer::new().format(value));
            Ok(())
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = NotPlain;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Impossible<(), NotPlain>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Impossible<(), NotPlain>;

    integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64,
    }

    fn serialize_bool(self, value: bool) -> Written<()> {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Written<()> {
        self.long_way(&value)
    }

    fn serialize_f64(self, value: f64) -> Written<()> {
        self.long_way(&value)
    }

    fn serialize_char(self, value: char) -> Written<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Written<()> {
        if plain_length(value.as_bytes()) < value.len() {
            return self.long_way(value);
        }
        self.0.reserve(value.len() + 2);
        self.0.push('"');
        self.0.push_str(value);
        self.0.push('"');
        Ok(())
    }

    fn serialize_bytes(self, _: &[u8]) -> Written<()> {
        Err(NotPlain)
    }

    fn serialize_none(self) -> Written<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Written<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Written<()> {
        self.0.push_str("null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Written<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Written<()> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Written<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Written<()> {
        Err(NotPlain)
    }

    fn serialize_seq(self, _: Option<usize>) -> Written<Parts<'a>> {
        Ok(self.parts('[', ']'))
    }

    fn serialize_tuple(self, _: usize) -> Written<Parts<'a>> {
        Ok(self.parts('[', ']'))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Written<Parts<'a>> {
        Ok(self.parts('[', ']'))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Written<Self::SerializeTupleVariant> {
        Err(NotPlain)
    }

    fn serialize_map(self, _: Option<usize>) -> Written<Parts<'a>> {
        Ok(self.parts('{', '}'))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Written<Parts<'a>> {
        // `serde_json` has words of its own that look like structs.
        if name.starts_with('$') { Err(NotPlain) } else { Ok(self.parts('{', '}')) }
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Written<Self::SerializeStructVariant> {
        Err(NotPlain)
    }
}

impl SerializeSeq for Parts<'_> {
    type Ok = ();
    type Error = NotPlain;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        self.item(value)
    }

    fn end(self) -> Written<()> {
        self.finish()
    }
}

impl SerializeTuple for Parts<'_> {
    type Ok = ();
    type Error = NotPlain;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        self.item(value)
    }

    fn end(self) -> Written<()> {
        self.finish()
    }
}

impl SerializeTupleStruct for Parts<'_> {
    type Ok = ();
    type Error = NotPlain;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        self.item(value)
    }

    fn end(self) -> Written<()> {
        self.finish()
    }
}

impl SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = NotPlain;

    /// What is no text as a value is one as a key, in a way that is `serde_json`'s.
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Written<()> {
        self.next();
        let before = self.text.len();
        key.serialize(Writer(self.text))?;
        if self.text[before..].starts_with('"') { Ok(()) } else { Err(NotPlain) }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Written<()> {
        self.text.push(':');
        value.serialize(Writer(self.text))
    }

    fn end(self) -> Written<()> {
        self.finish()
    }
}

impl SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = NotPlain;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Written<()> {
        if plain_length(name.as_bytes()) < name.len() {
            return Err(NotPlain);
        }
        self.next();
        self.text.push('"');
        self.text.push_str(name);
        self.text.push_str("\":");
        value.serialize(Writer(self.text))
    }

    fn end(self) -> Written<()> {
        self.finish()
    }
}
