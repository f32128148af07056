//! What a caller gives: variables and arguments, as the JSON that commands and filters are made of.
//!
//! What is absent stays absent, and null stays null: a variable that was not given leaves out the argument or the field
//! that it stands for, so that a command can tell "leave it" from "make it nothing".

use std::collections::HashMap;

use async_graphql::dynamic::TypeRef;
use async_graphql::parser::types::{Field as Selected, OperationDefinition};
use async_graphql::{Name, Value as Const};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};
use yado_engine as engine;
use yado_model::schema::Problem;

use crate::api::{Api, Argument, Field, Input, Scalar, Type};
use crate::error::Error;
use crate::values;

/// The variables of a request that have a value, be it null.
#[derive(Debug, Default)]
pub(crate) struct Variables(HashMap<Name, Const>);

impl Variables {
    /// Brings together what was given and what the operation declares.
    ///
    /// # Errors
    /// If one is missing or null that must not be.
    pub(crate) fn new(operation: &OperationDefinition, given: &Map<String, Json>) -> Result<Self, Error> {
        let mut variables = HashMap::new();
        for definition in &operation.variable_definitions {
            let (name, definition) = (&definition.node.name.node, &definition.node);
            let value = match (given.get(name.as_str()), &definition.default_value) {
                (Some(value), _) => Some(values::from_json(value)),
                (None, Some(default)) => Some(default.node.clone()),
                (None, None) => None,
            };
            if !definition.var_type.node.nullable && value.as_ref().is_none_or(|value| *value == Const::Null) {
                let problem = if value.is_none() { "is required" } else { "must not be null" };
                return Err(Error::input(format!(
                    "the variable ${name} of type {} {problem}",
                    definition.var_type.node
                )));
            }
            variables.extend(value.map(|value| (name.clone(), value)));
        }
        Ok(Self(variables))
    }

    /// The value of a variable; nothing if it was not given.
    pub(crate) fn get(&self, name: &Name) -> Option<&Const> {
        self.0.get(name)
    }

    /// All of them, for validation.
    pub(crate) fn to_async_graphql(&self) -> async_graphql::Variables {
        let mut variables = async_graphql::Variables::default();
        variables.extend(self.0.iter().map(|(name, value)| (name.clone(), value.clone())));
        variables
    }
}

/// The arguments of a field that have a value, be it null.
///
/// # Errors
/// Says which argument is not what it should be.
pub(crate) fn arguments(
    api: &Api,
    field: &Field,
    selected: &Selected,
    variables: &Variables,
) -> Result<Map<String, Json>, Error> {
    let mut reader = Reader { api, variables, path: Vec::new() };
    let mut arguments = Map::new();
    for argument in &field.arguments {
        let value = selected.get_argument(&argument.name).map(|value| &value.node);
        // Problems are told with the path within what a command is given, as the command's own checks tell them.
        let named = argument.name != "input";
        reader.path.extend(named.then(|| argument.name.clone()));
        let value = reader.argument(argument, value).map_err(|problem| {
            Error::Engine(engine::Error::BadInput { what: field.name.clone(), problems: vec![problem] })
        })?;
        reader.path.clear();
        arguments.extend(value.map(|value| (argument.name.clone(), value)));
    }
    Ok(arguments)
}

struct Reader<'a> {
    api: &'a Api,
    variables: &'a Variables,
    path: Vec<String>,
}

impl Reader<'_> {
    fn argument(&mut self, argument: &Argument, value: Option<&Value>) -> Result<Option<Json>, Problem> {
        let given = match value {
            Some(Value::Variable(name)) => self.variables.get(name).cloned().map(Const::into_value),
            other => other.cloned(),
        };
        match given {
            Some(given) => self.read(&argument.ty, &given).map(Some),
            None if argument.default.is_some() => Ok(argument.default.clone()),
            None if matches!(argument.ty, TypeRef::NonNull(_)) => Err(self.problem("is required")),
            None => Ok(None),
        }
    }

    fn read(&mut self, ty: &TypeRef, value: &Value) -> Result<Json, Problem> {
        if let Value::Variable(name) = value {
            let value = self.variables.get(name).cloned().unwrap_or_default().into_value();
            return self.read(ty, &value);
        }
        match ty {
            TypeRef::NonNull(_) if *value == Value::Null => Err(self.problem("must not be null")),
            TypeRef::NonNull(inner) => self.read(inner, value),
            _ if *value == Value::Null => Ok(Json::Null),
            TypeRef::List(inner) => match value {
                Value::List(items) => {
                    items.iter().enumerate().map(|(at, item)| self.below(at, |own| own.read(inner, item))).collect()
                }
                // One value stands for a list of one.
                single => Ok(Json::Array(vec![self.read(inner, single)?])),
            },
            TypeRef::Named(name) => self.named(name, value),
        }
    }

    fn named(&mut self, name: &str, value: &Value) -> Result<Json, Problem> {
        let api = self.api;
        match api.types.get(name) {
            Some(Type::Scalar(scalar)) => self.scalar(*scalar, value),
            Some(Type::Enum(known)) => match value {
                Value::Enum(value) if known.values.iter().any(|known| *known == value.as_str()) => {
                    Ok(Json::String(value.to_string()))
                }
                Value::String(value) if known.values.contains(value) => Ok(Json::String(value.clone())),
                _ => Err(self.problem(&format!("must be one of {}", known.values.join(", ")))),
            },
            Some(Type::Input(input)) => self.input(name, input, value),
            Some(Type::Object(_)) | None => Err(self.problem(&format!("can't be given: {name} is no input"))),
        }
    }

    fn scalar(&self, scalar: Scalar, value: &Value) -> Result<Json, Problem> {
        let constant = value.clone().into_const_with(|name| {
            Ok::<_, std::convert::Infallible>(self.variables.get(&name).cloned().unwrap_or_default())
        });
        let Ok(constant) = constant;
        values::given(scalar, &constant).ok_or_else(|| self.problem(&format!("must be of type {}", scalar.name())))
    }

    fn input(&mut self, name: &str, input: &Input, value: &Value) -> Result<Json, Problem> {
        let Value::Object(given) = value else {
            return Err(self.problem(&format!("must be an object of type {name}")));
        };
        if let Some(unknown) = given.keys().find(|key| input.fields.iter().all(|field| field.name != key.as_str())) {
            return Err(self.problem(&format!("unknown field {unknown}")));
        }
        let mut fields = Map::new();
        for field in &input.fields {
            let value = given.get(field.name.as_str());
            let value = self.below(&field.name, |own| own.argument(field, value))?;
            fields.extend(value.map(|value| (field.name.clone(), value)));
        }
        if input.one_of && (fields.len() != 1 || fields.values().any(Json::is_null)) {
            return Err(self.problem(&format!("must have exactly one field of {name}")));
        }
        Ok(Json::Object(fields))
    }

    fn below<T>(&mut self, step: impl ToString, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.to_string());
        let result = read(self);
        self.path.pop();
        result
    }

    fn problem(&self, message: &str) -> Problem {
        Problem { path: self.path.clone(), message: message.to_owned() }
    }
}
