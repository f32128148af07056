//! Nothing: the tests are in `all/`, and this keeps cargo content.
