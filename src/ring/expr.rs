//! Expressions over integers i and j, as written for a custom ring: `i^2+2*i+17`.
//!
//! A library parses and evaluates them, over a number type of ours that checks every step. Its
//! input is first limited to a short text of a few characters, so that no text makes it slow or
//! crash it. `^` binds tightest, then `* / %`, then `+ -`; equal operators go from left to right. A
//! sign binds tighter than all of them, so `-i^2` is (-i)^2.

use std::fmt;
use std::sync::Arc;

use exmex::{BinOp, Express, FlatEx, MakeOperators, Operator};

use super::checked::{Arithmetic, ArithmeticError, CheckedI64, Interval};

/// Maximum length of an expression, in characters.
pub(super) const MAX_LENGTH: usize = 128;
/// Maximum nesting depth of brackets.
pub(super) const MAX_DEPTH: usize = 16;

/// Parsed expression.
#[derive(Clone, Debug)]
pub struct Expr {
    text: Arc<str>,
    parsed: Arc<FlatEx<CheckedI64, Operators>>,
}

/// Error for a text that is not an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseExprError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_LENGTH`] characters.
    #[error("is longer than {MAX_LENGTH} characters")]
    TooLong,
    /// Brackets deeper than [`MAX_DEPTH`].
    #[error("has brackets nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// A character that is not allowed.
    #[error(
        "holds '{0}'; it is made of i, j, whole numbers, + - * / % ^ and brackets, without blanks"
    )]
    IllegalChar(char),
    /// `j` in a function of `i` alone.
    #[error("is a function of i alone, without j")]
    OnlyI,
    /// Allowed characters in an invalid order.
    #[error("is malformed: an operator, an operand or a bracket is missing or too many")]
    Malformed,
}

impl Expr {
    /// Parses an expression.
    ///
    /// # Errors
    /// The syntax error. Nothing is evaluated.
    pub fn parse(text: &str) -> Result<Self, ParseExprError> {
        Ok(Self {
            text: text.into(),
            parsed: Arc::new(parse_over(text)?),
        })
    }

    /// Returns `true` if `j` occurs in it.
    #[must_use]
    pub fn has_j(&self) -> bool {
        self.text.contains('j')
    }

    /// Returns the number of its operands.
    #[must_use]
    pub(super) fn operands(&self) -> u32 {
        let operators = self.text.bytes().filter(|b| b"+-*/%^".contains(b));
        // At most the length of the text.
        operators.fold(1, |operands, _| operands + 1)
    }

    /// Returns its value.
    ///
    /// # Errors
    /// The first failure of the arithmetic.
    pub fn at(&self, i: i64, j: i64) -> Result<i64, ArithmeticError> {
        value(&self.parsed, &CheckedI64::new(i), &CheckedI64::new(j))?.get()
    }

    /// Returns bounds of its value for all i from 0 to `highest`, with j = 0. They may be too wide.
    ///
    /// # Errors
    /// If the arithmetic may fail for an i, as far as bounds can show. An expression that can fail
    /// is never accepted; an expression that cannot may be refused.
    pub fn bounds(&self, highest: i64) -> Result<(i64, i64), ArithmeticError> {
        let parsed: FlatEx<Interval, Operators> =
            parse_over(&self.text).map_err(|_| ArithmeticError::Unknown)?;
        value(&parsed, &Interval::new(0, highest), &Interval::new(0, 0))?.get()
    }
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expr {}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Checks the limits of `text` and parses it over numbers of type `T`.
fn parse_over<T: Arithmetic>(text: &str) -> Result<FlatEx<T, Operators>, ParseExprError> {
    if text.is_empty() {
        return Err(ParseExprError::Empty);
    }
    let (mut length, mut depth) = (0, 0_usize);
    for c in text.chars() {
        length += 1;
        match c {
            _ if length > MAX_LENGTH => return Err(ParseExprError::TooLong),
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or(ParseExprError::Malformed)?,
            'i' | 'j' | '0'..='9' | '+' | '-' | '*' | '/' | '%' | '^' => {}
            other => return Err(ParseExprError::IllegalChar(other)),
        }
        if depth > MAX_DEPTH {
            return Err(ParseExprError::TooDeep);
        }
    }
    // For two adjacent operands, `2i` or `(i)(j)`, the library may see a single name.
    let bytes = text.as_bytes();
    let begins = |b: u8| b.is_ascii_alphanumeric() || b == b'(';
    let ends = |b: u8| b.is_ascii_alphanumeric() || b == b')';
    let touch = |pair: &[u8]| {
        let number = pair[0].is_ascii_digit() && pair[1].is_ascii_digit();
        !number && ends(pair[0]) && begins(pair[1])
    };
    if depth != 0 || bytes.windows(2).any(touch) {
        return Err(ParseExprError::Malformed);
    }
    FlatEx::parse(text).map_err(|_| ParseExprError::Malformed)
}

fn value<T: Arithmetic>(parsed: &FlatEx<T, Operators>, i: &T, j: &T) -> Result<T, ArithmeticError> {
    let names = parsed.var_names().iter();
    let values = names.map(|name| if name == "i" { i } else { j }.clone());
    let mut numbers: [T; 2] = Default::default();
    let mut count = 0;
    for (slot, number) in numbers.iter_mut().zip(values) {
        *slot = number;
        count += 1;
    }
    // The library expects as many numbers as there are variables.
    parsed
        .eval(&numbers[..count])
        .map_err(|_| ArithmeticError::Unknown)
}

/// Operators between operands.
#[derive(Clone, Debug)]
struct Operators;

impl<T: Arithmetic> MakeOperators<T> for Operators {
    fn make<'a>() -> Vec<Operator<'a, T>> {
        // No operator is marked commutative, though two are: regrouped operands may overflow
        // elsewhere.
        let binary = |apply: fn(T, T) -> T, prio: i64| BinOp {
            apply,
            prio,
            is_commutative: false,
        };
        vec![
            Operator::make_bin("^", binary(T::power, 3)),
            Operator::make_bin("*", binary(T::times, 2)),
            Operator::make_bin("/", binary(T::over, 2)),
            Operator::make_bin("%", binary(T::modulo, 2)),
            Operator::make_bin_unary("+", binary(T::plus, 1), |a| a),
            Operator::make_bin_unary("-", binary(T::minus, 1), T::negative),
        ]
    }
}
