//! A question as it is written: the statement, and its values in the server's own binary format.

use std::sync::Arc;

use bytes::{BufMut as _, BytesMut};
use postgres_protocol::message::frontend::{self, BindError};
use postgres_protocol::types::{ArrayDimension, array_to_sql};
use postgres_protocol::{IsNull, Oid};

use super::super::bound::Bound;
use super::super::time::since_epoch;
use super::oid;
use super::statements::{name, unwritten};
use crate::Result;

/// Values and results are binary.
const BINARY: i16 = 1;

/// A question, put together before anybody else has to wait for it.
#[derive(Debug)]
pub(in super::super) struct Question {
    /// Which statement it is, in this process.
    pub(super) number: u64,
    pub(super) text: Arc<str>,
    pub(super) types: Vec<Oid>,
    /// What is to be written once the server knows the statement.
    pub(super) bytes: BytesMut,
}

impl Question {
    /// The statement with a number, asked with these values.
    ///
    /// # Errors
    /// If a value is longer than a message can be.
    pub(in super::super) fn new(number: u64, text: Arc<str>, values: &[Bound]) -> Result<Self> {
        let mut bytes = BytesMut::with_capacity(256);
        let encode = |value: &Bound, out: &mut BytesMut| encode(value, out).map(|()| IsNull::No);
        frontend::bind("", &name(number), [BINARY], values, encode, [BINARY], &mut bytes).map_err(|error| {
            unwritten(match error {
                BindError::Conversion(error) => error,
                BindError::Serialization(error) => error.into(),
            })
        })?;
        frontend::execute("", 0, &mut bytes).map_err(unwritten)?;
        frontend::sync(&mut bytes);
        Ok(Self { number, text, types: values.iter().map(of).collect(), bytes })
    }
}

const fn of(value: &Bound) -> Oid {
    match value {
        Bound::Text(_) => oid::TEXT,
        Bound::Integer(_) => oid::INT8,
        Bound::Float(_) => oid::FLOAT8,
        Bound::Boolean(_) => oid::BOOL,
        Bound::Time(_) => oid::TIMESTAMPTZ,
        Bound::Texts(_) => oid::TEXTS,
        Bound::Integers(_) => oid::INT8S,
        Bound::Floats(_) => oid::FLOAT8S,
        Bound::Booleans(_) => oid::BOOLS,
        Bound::Times(_) => oid::TIMESTAMPTZS,
    }
}

type Encoded = Result<(), Box<dyn std::error::Error + Sync + Send>>;

fn encode(value: &Bound, out: &mut BytesMut) -> Encoded {
    match value {
        Bound::Text(text) => out.put_slice(text.as_bytes()),
        Bound::Integer(number) => out.put_i64(*number),
        Bound::Float(float) => out.put_f64(*float),
        Bound::Boolean(truth) => out.put_u8(u8::from(*truth)),
        Bound::Time(time) => out.put_i64(since_epoch(*time)),
        Bound::Texts(texts) => array(oid::TEXT, texts, out, |text, out| out.put_slice(text.as_bytes()))?,
        Bound::Integers(numbers) => array(oid::INT8, numbers, out, |number, out| out.put_i64(*number))?,
        Bound::Floats(floats) => array(oid::FLOAT8, floats, out, |float, out| out.put_f64(*float))?,
        Bound::Booleans(truths) => array(oid::BOOL, truths, out, |truth, out| out.put_u8(u8::from(*truth)))?,
        Bound::Times(times) => array(oid::TIMESTAMPTZ, times, out, |time, out| out.put_i64(since_epoch(*time)))?,
    }
    Ok(())
}

fn array<T>(element: Oid, elements: &[T], out: &mut BytesMut, encode: impl Fn(&T, &mut BytesMut)) -> Encoded {
    let dimension = ArrayDimension { len: i32::try_from(elements.len())?, lower_bound: 1 };
    let encode = |value: &T, out: &mut BytesMut| {
        encode(value, out);
        Ok(IsNull::No)
    };
    array_to_sql([dimension], element, elements, encode, out)
}
