//! What a caller gives: variables and arguments, as the JSON that commands and filters are made of.
//!
//! What is absent stays absent, and null stays null: a variable that was not given leaves out the argument or the field
//! that it stands for, so that a command can tell "leave it" from "make it nothing".
//!
//! Arguments are read to their end whatever is wrong with them, so that a caller learns of all problems at once, each with
//! the path of the field at fault.

use std::borrow::Cow;

use async_graphql::dynamic::TypeRef;
use async_graphql::parser::types::{
    BaseType, Field as Selected, OperationDefinition, Type as Declared, VariableDefinition,
};
use async_graphql::{Name, Value as Const};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};
use yado_model::schema::Problem;

use crate::api::{Api, Argument, Enum, Field, Input, Resolve, Scalar, Type};
use crate::error::{Error, UNKNOWN_FIELD};
use crate::values;

/// At most so many problems are told of one field's arguments. Nobody reads more.
const PROBLEMS_MAX: usize = 20;

/// The variables that an operation declares. There are few of them, and a list is searched faster than a map is made.
#[derive(Debug, Default)]
pub(crate) struct Variables<'r>(Vec<(&'r Name, Variable<'r>)>);

#[derive(Debug)]
enum Variable<'r> {
    /// It has a value, be it null.
    Given(&'r Json, &'r Declared),
    /// It has the value that the document gives to it, where other rules hold than in JSON.
    Default(&'r Const),
    /// It has none, and need not have one.
    Absent,
    /// It has none that will do; the text says why.
    Wrong(String),
}

impl<'r> Variables<'r> {
    /// Brings together what was given and what the operation declares.
    pub(crate) fn new(operation: &'r OperationDefinition, given: &'r Map<String, Json>) -> Self {
        let variable = |definition: &'r VariableDefinition| {
            let (name, ty) = (&definition.name.node, &definition.var_type.node);
            let wrong = |problem: &str| Variable::Wrong(format!("{problem}: the variable ${name} is of type {ty}"));
            match (given.get(name.as_str()), &definition.default_value) {
                (Some(Json::Null), _) if !ty.nullable => wrong("must not be null"),
                (Some(value), _) => Variable::Given(value, ty),
                (None, Some(default)) if !ty.nullable && default.node == Const::Null => wrong("must not be null"),
                (None, Some(default)) => Variable::Default(&default.node),
                (None, None) if ty.nullable => Variable::Absent,
                (None, None) => wrong("is required"),
            }
        };
        let definitions = operation.variable_definitions.iter().map(|definition| &definition.node);
        Self(definitions.map(|definition| (&definition.name.node, variable(definition))).collect())
    }

    fn find(&self, name: &Name) -> Option<&Variable<'r>> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, variable)| variable)
    }

    /// Whether a variable is true.
    pub(crate) fn is_true(&self, name: &Name) -> bool {
        matches!(self.find(name), Some(Variable::Given(Json::Bool(true), _) | Variable::Default(Const::Boolean(true))))
    }

    /// The number that a variable is, if it is one and not below 0.
    pub(crate) fn number(&self, name: &Name) -> Option<u64> {
        match self.find(name)? {
            Variable::Given(Json::Number(number), _) => number.as_u64().or_else(|| values::integral(number)?.as_u64()),
            Variable::Default(Const::Number(number)) => number.as_u64(),
            _ => None,
        }
    }

    /// The value of a variable as GraphQL has it; nothing if it has none.
    pub(crate) fn constant(&self, api: &Api, name: &Name) -> Option<Const> {
        match self.find(name)? {
            Variable::Given(value, ty) => Some(whole_numbers(api, base(&ty.base), values::from_json(value))),
            Variable::Default(value) => Some((*value).clone()),
            Variable::Absent | Variable::Wrong(_) => None,
        }
    }

    /// Refuses variables that are missing or null and must not be.
    ///
    /// # Errors
    /// One for each, in the order of their names.
    pub(crate) fn check(&self) -> Result<(), Vec<Error>> {
        let wrong = |(name, variable): &(&Name, Variable<'_>)| match variable {
            Variable::Wrong(problem) => Some(format!("${name} {problem}")),
            _ => None,
        };
        let mut wrong: Vec<String> = self.0.iter().filter_map(wrong).collect();
        wrong.sort();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.into_iter().map(Error::input).collect()) }
    }

    /// All of them, for validation.
    pub(crate) fn to_async_graphql(&self, api: &Api) -> async_graphql::Variables {
        let mut variables = async_graphql::Variables::default();
        variables.extend(self.0.iter().filter_map(|(name, _)| Some(((*name).clone(), self.constant(api, name)?))));
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

/// The arguments of a field that have a value, be it null. There are few of them, as of variables.
#[derive(Debug)]
pub(crate) struct Arguments<'a>(Vec<(&'a str, Json)>);

impl Arguments<'_> {
    /// The value of an argument.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The value of an argument, for good.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// All of them, as an object.
    pub(crate) fn into_object(self) -> Map<String, Json> {
        self.0.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Reads the arguments of a field.
///
/// # Errors
/// Says of each argument, and of each field in it, what it should be and is not.
pub(crate) fn arguments<'a>(
    api: &'a Api,
    field: &'a Field,
    selected: &Selected,
    variables: &Variables<'_>,
) -> Result<Arguments<'a>, Error> {
    let mut reader = Reader { api, variables, path: Vec::new(), problems: Vec::new() };
    let mut arguments = Vec::with_capacity(field.arguments.len());
    for argument in &field.arguments {
        let value = selected.get_argument(&argument.name).map(|value| Node::Literal(&value.node));
        // Problems are told with the path within what a command is given, as the command's own checks tell them. What is
        // wrong with the input as a whole has its name.
        let of_command = matches!(field.resolve, Resolve::Command { .. }) && argument.name == "input";
        let within = of_command && value.is_some_and(|value| reader.is_object(value));
        reader.path.extend((!within).then_some(Step::Field(&argument.name)));
        let value = reader.argument(argument, value);
        reader.path.clear();
        arguments.extend(value.map(|value| (argument.name.as_str(), value)));
    }
    let problems = reader.problems;
    if problems.is_empty() {
        Ok(Arguments(arguments))
    } else {
        Err(Error::Arguments { field: field.name.clone(), problems })
    }
}

/// A value that is given, where it stands: what a document says is read by other rules than JSON.
#[derive(Debug, Clone, Copy)]
enum Node<'v> {
    Literal(&'v Value),
    Json(&'v Json),
}

impl<'v> Node<'v> {
    fn is_null(self) -> bool {
        matches!(self, Self::Literal(Value::Null) | Self::Json(Json::Null))
    }

    fn is_object(self) -> bool {
        matches!(self, Self::Literal(Value::Object(_)) | Self::Json(Json::Object(_)))
    }

    fn items(self) -> Option<Vec<Self>> {
        match self {
            Self::Literal(Value::List(items)) => Some(items.iter().map(Node::Literal).collect()),
            Self::Json(Json::Array(items)) => Some(items.iter().map(Node::Json).collect()),
            _ => None,
        }
    }

    /// A field of the object that it is.
    fn field(self, name: &str) -> Option<Self> {
        match self {
            Self::Literal(Value::Object(fields)) => fields.get(name).map(Node::Literal),
            Self::Json(Json::Object(fields)) => fields.get(name).map(Node::Json),
            _ => None,
        }
    }

    /// The names of the object's fields that an input does not have.
    fn unknown(self, input: &Input) -> Vec<&'v str> {
        let unknown = |name: &&str| input.fields.iter().all(|field| field.name != *name);
        match self {
            Self::Literal(Value::Object(fields)) => fields.keys().map(Name::as_str).filter(unknown).collect(),
            Self::Json(Json::Object(fields)) => fields.keys().map(String::as_str).filter(unknown).collect(),
            _ => Vec::new(),
        }
    }
}

/// A step on the way to a value; it becomes text when there is a problem to tell.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Item(usize),
}

/// What it can't read it tells of, and reads on.
struct Reader<'a> {
    api: &'a Api,
    variables: &'a Variables<'a>,
    path: Vec<Step<'a>>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn is_object(&self, value: Node<'_>) -> bool {
        match value {
            Node::Literal(Value::Variable(name)) => matches!(
                self.variables.find(name),
                Some(Variable::Given(Json::Object(_), _) | Variable::Default(Const::Object(_)))
            ),
            value => value.is_object(),
        }
    }

    fn argument(&mut self, argument: &'a Argument, value: Option<Node<'_>>) -> Option<Json> {
        match value {
            Some(Node::Literal(Value::Variable(name))) => match self.variables.find(name) {
                Some(Variable::Given(value, _)) => self.read(&argument.ty, Node::Json(value)),
                Some(Variable::Default(value)) => {
                    self.read(&argument.ty, Node::Literal(&(*value).clone().into_value()))
                }
                Some(Variable::Wrong(problem)) => self.problem(problem.as_str()),
                Some(Variable::Absent) => self.absent(argument),
                // One that is not declared is found by validation.
                None => None,
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

    fn read(&mut self, ty: &'a TypeRef, value: Node<'_>) -> Option<Json> {
        if let Node::Literal(Value::Variable(name)) = value {
            return match self.variables.find(name)? {
                Variable::Given(value, _) => self.read(ty, Node::Json(value)),
                Variable::Default(value) => self.read(ty, Node::Literal(&(*value).clone().into_value())),
                Variable::Absent => self.read(ty, Node::Literal(&Value::Null)),
                Variable::Wrong(problem) => self.problem(problem.as_str()),
            };
        }
        match ty {
            TypeRef::NonNull(_) if value.is_null() => self.problem("must not be null"),
            TypeRef::NonNull(inner) => self.read(inner, value),
            _ if value.is_null() => Some(Json::Null),
            TypeRef::List(inner) => match value.items() {
                Some(items) => {
                    let read = |(at, item)| self.below(Step::Item(at), |own| own.read(inner, item));
                    // All of them are read before one that failed counts.
                    let items: Vec<Option<Json>> = items.into_iter().enumerate().map(read).collect();
                    items.into_iter().collect()
                }
                // One value stands for a list of one.
                None => Some(Json::Array(vec![self.read(inner, value)?])),
            },
            TypeRef::Named(name) => self.named(name, value),
        }
    }

    fn named(&mut self, name: &str, value: Node<'_>) -> Option<Json> {
        let api = self.api;
        match api.types.get(name) {
            Some(Type::Scalar(scalar)) => self.scalar(*scalar, value),
            Some(Type::Enum(known)) => self.one_of(known, value),
            Some(Type::Input(input)) => self.input(name, input, value),
            Some(Type::Object(_)) | None => self.problem(format!("can't be given: {name} is no input")),
        }
    }

    fn one_of(&mut self, known: &Enum, value: Node<'_>) -> Option<Json> {
        match value {
            Node::Literal(Value::Enum(value)) if known.has(value) => Some(Json::String(value.to_string())),
            Node::Json(Json::String(value)) if known.has(value) => Some(Json::String(value.clone())),
            Node::Literal(Value::String(value)) if known.has(value) => {
                self.problem(format!("must be one of {}, without quotes", known.names()))
            }
            _ => self.problem(format!("must be one of {}", known.names())),
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: Node<'_>) -> Option<Json> {
        let read = match value {
            Node::Json(value) => values::given_json(scalar, value),
            Node::Literal(value) => {
                let constant = |name| {
                    Ok::<_, std::convert::Infallible>(self.variables.constant(self.api, &name).unwrap_or_default())
                };
                let Ok(constant) = value.clone().into_const_with(constant);
                values::given(scalar, &constant)
            }
        };
        read.or_else(|| self.problem(format!("must be {}", scalar.words())))
    }

    fn input(&mut self, name: &str, input: &'a Input, value: Node<'_>) -> Option<Json> {
        if !value.is_object() {
            return self.problem(format!("must be an object of type {name}"));
        }
        let before = self.problems.len();
        for unknown in value.unknown(input) {
            self.tell(Some(unknown), format!("{UNKNOWN_FIELD} {unknown}").into());
        }
        let mut fields = Map::with_capacity(input.fields.len());
        for field in &input.fields {
            let given = value.field(&field.name);
            let read = self.below(Step::Field(&field.name), |own| own.argument(field, given));
            fields.extend(read.map(|value| (field.name.clone(), value)));
        }
        let sound = self.problems.len() == before;
        if sound && input.one_of && (fields.len() != 1 || fields.values().any(Json::is_null)) {
            return self.problem(format!("must have exactly one field of {name}"));
        }
        sound.then_some(Json::Object(fields))
    }

    fn below<T>(&mut self, step: Step<'a>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = read(self);
        self.path.pop();
        result
    }

    /// There is no value, and this is why.
    fn problem<'m>(&mut self, message: impl Into<Cow<'m, str>>) -> Option<Json> {
        self.tell(None, message.into());
        None
    }

    /// Notes a problem of what is read, or of a field below it.
    fn tell(&mut self, below: Option<&str>, message: Cow<'_, str>) {
        if self.problems.len() >= PROBLEMS_MAX {
            return;
        }
        let step = |step: &Step<'_>| match step {
            Step::Field(name) => (*name).to_owned(),
            Step::Item(at) => at.to_string(),
        };
        let path = self.path.iter().map(step).chain(below.map(str::to_owned)).collect();
        self.problems.push(Problem { path, message: message.into_owned() });
    }
}
