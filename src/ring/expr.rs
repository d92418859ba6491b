//! An expression over whole numbers i and j, as typed for a ring of one's own: `i^2+2*i+17`.
//!
//! Parsing and evaluating is left to a library, over a number type of ours that checks every step. What
//! it is given is first held to a short text of a few characters, so that nobody can make it work long or
//! fall over. `^` binds tightest, then `* / %`, then `+ -`; equals go from left to right. Surprising: a
//! sign binds tighter still, so `-i^2` is (-i)^2.

use std::fmt;
use std::sync::Arc;

use exmex::{BinOp, Express, FlatEx, MakeOperators, Operator};

use super::checked::{Arithmetic, ArithmeticError, CheckedI64, Interval};

/// The longest expression, in characters.
pub(super) const MAX_LENGTH: usize = 128;
/// How deep brackets may be nested.
pub(super) const MAX_DEPTH: usize = 16;

/// An expression that has been parsed.
#[derive(Clone, Debug)]
pub struct Expr {
    text: Arc<str>,
    parsed: Arc<FlatEx<CheckedI64, Operators>>,
}

/// A text that is no expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseExprError {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// More than [`MAX_LENGTH`] characters.
    #[error("is longer than {MAX_LENGTH} characters")]
    TooLong,
    /// Brackets deeper than [`MAX_DEPTH`].
    #[error("has brackets nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// Something that has no place in it.
    #[error(
        "holds '{0}'; it is made of i, j, whole numbers, + - * / % ^ and brackets, without blanks"
    )]
    Foreign(char),
    /// A letter that stands for nothing here.
    #[error("is a function of i alone, without j")]
    OnlyI,
    /// Legal characters in no legal order.
    #[error("is malformed: an operator, an operand or a bracket is missing or too many")]
    Malformed,
}

impl Expr {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it; nothing is evaluated for that.
    pub fn parse(text: &str) -> Result<Self, ParseExprError> {
        Ok(Self {
            text: text.into(),
            parsed: Arc::new(read(text)?),
        })
    }

    /// Whether `j` occurs in it.
    #[must_use]
    pub fn has_j(&self) -> bool {
        self.text.contains('j')
    }

    /// Number of its operands.
    #[must_use]
    pub(super) fn operands(&self) -> u32 {
        let operators = self.text.bytes().filter(|b| b"+-*/%^".contains(b));
        // At most as many as the text is long.
        operators.fold(1, |operands, _| operands + 1)
    }

    /// Its value.
    ///
    /// # Errors
    /// Where the arithmetic fails.
    pub fn at(&self, i: i64, j: i64) -> Result<i64, ArithmeticError> {
        value(&self.parsed, &CheckedI64::new(i), &CheckedI64::new(j))?.get()
    }

    /// Bounds of its value for all i from 0 to `highest`, with j = 0. They may be wider than need be.
    ///
    /// # Errors
    /// When the arithmetic may fail for one of them, as far as bounds can tell: an expression that can
    /// fail is never let through, and one that happens to work may be refused.
    pub fn span(&self, highest: i64) -> Result<(i64, i64), ArithmeticError> {
        let parsed: FlatEx<Interval, Operators> =
            read(&self.text).map_err(|_| ArithmeticError::Unknown)?;
        value(&parsed, &Interval::of(0, highest), &Interval::of(0, 0))?.get()
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

/// Reads `text` over numbers of type `T`, once it is known to be harmless.
fn read<T: Arithmetic>(text: &str) -> Result<FlatEx<T, Operators>, ParseExprError> {
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
            other => return Err(ParseExprError::Foreign(other)),
        }
        if depth > MAX_DEPTH {
            return Err(ParseExprError::TooDeep);
        }
    }
    // Two operands side by side, `2i` or `(i)(j)`: the library would take some of them for a name.
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
    let given = names.map(|name| if name == "i" { i } else { j }.clone());
    let mut numbers: [T; 2] = Default::default();
    let mut count = 0;
    for (place, number) in numbers.iter_mut().zip(given) {
        *place = number;
        count += 1;
    }
    // The library counts the variables; they are counted here as it does.
    parsed
        .eval(&numbers[..count])
        .map_err(|_| ArithmeticError::Unknown)
}

/// What may stand between operands.
#[derive(Clone, Debug)]
struct Operators;

impl<T: Arithmetic> MakeOperators<T> for Operators {
    fn make<'a>() -> Vec<Operator<'a, T>> {
        // None is called commutative, though two are: regrouped operands may overflow elsewhere.
        let of = |apply: fn(T, T) -> T, prio: i64| BinOp {
            apply,
            prio,
            is_commutative: false,
        };
        vec![
            Operator::make_bin("^", of(T::power, 3)),
            Operator::make_bin("*", of(T::times, 2)),
            Operator::make_bin("/", of(T::over, 2)),
            Operator::make_bin("%", of(T::modulo, 2)),
            Operator::make_bin_unary("+", of(T::plus, 1), |a| a),
            Operator::make_bin_unary("-", of(T::minus, 1), T::negative),
        ]
    }
}
