//! What a caller gives: variables and arguments, as the JSON that commands and filters are made of.
//!
//! What is absent stays absent, and null stays null: a variable that was not given leaves out the argument or the field
//! that it stands for, so that a command can tell "leave it" from "make it nothing".
//!
//! Arguments are read to their end whatever is wrong with them, so that a caller learns of all problems at once, each with
//! the path of the field at fault.

use std::collections::HashMap;

use async_graphql::dynamic::TypeRef;
use async_graphql::parser::types::{BaseType, Field as Selected, OperationDefinition};
use async_graphql::{Name, Value as Const};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};
use yado_model::schema::Problem;

use crate::api::{Api, Argument, Field, Input, Scalar, Type};
use crate::error::{Error, UNKNOWN_FIELD};
use crate::values;

/// At most so many problems are told of one field's arguments. Nobody reads more.
const PROBLEMS_MAX: usize = 20;

/// The variables that an operation declares.
#[derive(Debug, Default)]
pub(crate) struct Variables(HashMap<Name, Variable>);

#[derive(Debug)]
enum Variable {
    /// It has a value, be it null.
    Given(Const),
    /// It has the value that the document gives to it, where other rules hold than in JSON.
    Default(Const),
    /// It has none, and need not have one.
    Absent,
    /// It has none that will do; the text says why.
    Wrong(String),
}

impl Variables {
    /// Brings together what was given and what the operation declares.
    pub(crate) fn new(api: &Api, operation: &OperationDefinition, given: &Map<String, Json>) -> Self {
        let variable = |definition: &async_graphql::parser::types::VariableDefinition| {
            let (name, ty) = (&definition.name.node, &definition.var_type.node);
            let wrong = |problem: &str| Variable::Wrong(format!("{problem}: the variable ${name} is of type {ty}"));
            let null = |value: &Const| !ty.nullable && *value == Const::Null;
            match (given.get(name.as_str()).map(values::from_json), &definition.default_value) {
                (Some(value), _) if null(&value) => wrong("must not be null"),
                (Some(value), _) => Variable::Given(whole_numbers(api, base(&ty.base), value)),
                (None, Some(default)) if null(&default.node) => wrong("must not be null"),
                (None, Some(default)) => Variable::Default(default.node.clone()),
                (None, None) if ty.nullable => Variable::Absent,
                (None, None) => wrong("is required"),
            }
        };
        let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
        Self(definitions.map(|definition| (definition.name.node.clone(), variable(definition))).collect())
    }

    /// The value of a variable; nothing if it has none.
    pub(crate) fn get(&self, name: &Name) -> Option<&Const> {
        match self.0.get(name)? {
            Variable::Given(value) | Variable::Default(value) => Some(value),
            Variable::Absent | Variable::Wrong(_) => None,
        }
    }

    /// Refuses variables that are missing or null and must not be.
    ///
    /// # Errors
    /// One for each, in the order of their names.
    pub(crate) fn check(&self) -> Result<(), Vec<Error>> {
        let wrong = |(name, variable): (&Name, &Variable)| match variable {
            Variable::Wrong(problem) => Some(format!("${name} {problem}")),
            _ => None,
        };
        let mut wrong: Vec<String> = self.0.iter().filter_map(wrong).collect();
        wrong.sort();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.into_iter().map(Error::input).collect()) }
    }

    /// All of them, for validation.
    pub(crate) fn to_async_graphql(&self) -> async_graphql::Variables {
        let mut variables = async_graphql::Variables::default();
        variables.extend(self.0.keys().filter_map(|name| Some((name.clone(), self.get(name)?.clone()))));
        variables
    }
}

fn base(ty: &BaseType) -> &str {
    match ty {
        BaseType::Named(name) => name,
        BaseType::List(inner) => base(&inner.base),
    }
}

/// JSON knows one kind of number, and some write the whole number 5 as `5.0`: where a whole number belongs it becomes one.
fn whole_numbers(api: &Api, ty: &str, value: Const) -> Const {
    match (value, api.types.get(ty)) {
        (Const::Number(number), Some(Type::Scalar(Scalar::Int | Scalar::BigInt))) => {
            Const::Number(values::integral(&number).unwrap_or(number))
        }
        (Const::List(items), _) => Const::List(items.into_iter().map(|item| whole_numbers(api, ty, item)).collect()),
        (Const::Object(fields), Some(Type::Input(input))) => {
            let field = |(name, value): (Name, Const)| {
                let known = input.fields.iter().find(|field| field.name == name.as_str());
                let value = match known {
                    Some(known) => whole_numbers(api, known.ty.type_name(), value),
                    None => value,
                };
                (name, value)
            };
            Const::Object(fields.into_iter().map(field).collect())
        }
        (value, _) => value,
    }
}

/// The arguments of a field that have a value, be it null.
///
/// # Errors
/// Says of each argument, and of each field in it, what it should be and is not.
pub(crate) fn arguments(
    api: &Api,
    field: &Field,
    selected: &Selected,
    variables: &Variables,
) -> Result<Map<String, Json>, Error> {
    let mut reader = Reader { api, variables, literal: true, path: Vec::new(), problems: Vec::new() };
    let mut arguments = Map::new();
    for argument in &field.arguments {
        let value = selected.get_argument(&argument.name).map(|value| &value.node);
        // Problems are told with the path within what a command is given, as the command's own checks tell them. What is
        // wrong with the input as a whole has its name.
        let within = argument.name == "input" && value.is_some_and(|value| reader.is_object(value));
        reader.path.extend((!within).then(|| argument.name.clone()));
        let value = reader.argument(argument, value);
        reader.path.clear();
        arguments.extend(value.map(|value| (argument.name.clone(), value)));
    }
    let problems = reader.problems;
    if problems.is_empty() { Ok(arguments) } else { Err(Error::Arguments { field: field.name.clone(), problems }) }
}

/// What it can't read it tells of, and reads on.
struct Reader<'a> {
    api: &'a Api,
    variables: &'a Variables,
    /// Whether what is read stands in the document. There a name is not a string.
    literal: bool,
    path: Vec<String>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn is_object(&self, value: &Value) -> bool {
        match value {
            Value::Object(_) => true,
            Value::Variable(name) => matches!(self.variables.get(name), Some(Const::Object(_))),
            _ => false,
        }
    }

    fn argument(&mut self, argument: &Argument, value: Option<&Value>) -> Option<Json> {
        match value {
            Some(Value::Variable(name)) if self.variables.get(name).is_none() => match self.variables.0.get(name) {
                Some(Variable::Wrong(problem)) => self.problem(problem.clone()),
                // One that is not declared is found by validation.
                None => None,
                Some(_) => self.absent(argument),
            },
            Some(value) => self.read(&argument.ty, value),
            None => self.absent(argument),
        }
    }

    fn absent(&mut self, argument: &Argument) -> Option<Json> {
        match (&argument.default, &argument.ty) {
            (Some(default), _) => Some(default.clone()),
            (None, TypeRef::NonNull(_)) => self.problem("is required"),
            _ => None,
        }
    }

    fn read(&mut self, ty: &TypeRef, value: &Value) -> Option<Json> {
        if let Value::Variable(name) = value {
            let (value, literal) = match self.variables.0.get(name) {
                Some(Variable::Given(value)) => (value.clone(), false),
                Some(Variable::Default(value)) => (value.clone(), true),
                Some(Variable::Absent) => (Const::Null, true),
                Some(Variable::Wrong(problem)) => return self.problem(problem.clone()),
                None => return None,
            };
            let before = std::mem::replace(&mut self.literal, literal);
            let read = self.read(ty, &value.into_value());
            self.literal = before;
            return read;
        }
        match ty {
            TypeRef::NonNull(_) if *value == Value::Null => self.problem("must not be null"),
            TypeRef::NonNull(inner) => self.read(inner, value),
            _ if *value == Value::Null => Some(Json::Null),
            TypeRef::List(inner) => match value {
                Value::List(items) => {
                    let read = |(at, item)| self.below(at, |own| own.read(inner, item));
                    // All of them are read before one that failed counts.
                    let items: Vec<Option<Json>> = items.iter().enumerate().map(read).collect();
                    items.into_iter().collect()
                }
                // One value stands for a list of one.
                single => Some(Json::Array(vec![self.read(inner, single)?])),
            },
            TypeRef::Named(name) => self.named(name, value),
        }
    }

    fn named(&mut self, name: &str, value: &Value) -> Option<Json> {
        let api = self.api;
        match api.types.get(name) {
            Some(Type::Scalar(scalar)) => self.scalar(*scalar, value),
            Some(Type::Enum(known)) => match value {
                Value::Enum(value) if known.has(value) => Some(Json::String(value.to_string())),
                Value::String(value) if !self.literal && known.has(value) => Some(Json::String(value.clone())),
                Value::String(value) if known.has(value) => {
                    self.problem(format!("must be one of {}, without quotes", known.names()))
                }
                _ => self.problem(format!("must be one of {}", known.names())),
            },
            Some(Type::Input(input)) => self.input(name, input, value),
            Some(Type::Object(_)) | None => self.problem(format!("can't be given: {name} is no input")),
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) -> Option<Json> {
        let constant = value.clone().into_const_with(|name| {
            Ok::<_, std::convert::Infallible>(self.variables.get(&name).cloned().unwrap_or_default())
        });
        let Ok(constant) = constant;
        values::given(scalar, &constant).or_else(|| self.problem(format!("must be {}", scalar.words())))
    }

    fn input(&mut self, name: &str, input: &Input, value: &Value) -> Option<Json> {
        let Value::Object(given) = value else {
            return self.problem(format!("must be an object of type {name}"));
        };
        let before = self.problems.len();
        for unknown in given.keys().filter(|key| input.fields.iter().all(|field| field.name != key.as_str())) {
            self.below(unknown, |own| own.problem(format!("{UNKNOWN_FIELD} {unknown}")));
        }
        let mut fields = Map::new();
        for field in &input.fields {
            let value = given.get(field.name.as_str());
            let value = self.below(&field.name, |own| own.argument(field, value));
            fields.extend(value.map(|value| (field.name.clone(), value)));
        }
        let sound = self.problems.len() == before;
        if sound && input.one_of && (fields.len() != 1 || fields.values().any(Json::is_null)) {
            return self.problem(format!("must have exactly one field of {name}"));
        }
        sound.then_some(Json::Object(fields))
    }

    fn below<T>(&mut self, step: impl ToString, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_string());
        let result = read(self);
        self.path.pop();
        result
    }

    /// There is no value, and this is why.
    fn problem(&mut self, message: impl Into<String>) -> Option<Json> {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { path: self.path.clone(), message: message.into() });
        }
        None
    }
}
