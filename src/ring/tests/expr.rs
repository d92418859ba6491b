//! Expressions: by examples, in comparison with a slow evaluator on thousands of generated ones,
//! and with arbitrary texts.

use super::super::checked::ArithmeticError;
use super::super::expr::{Expr, MAX_DEPTH, MAX_LENGTH, ParseExprError};
use super::Random;

fn value(text: &str, i: i64, j: i64) -> Result<i64, ArithmeticError> {
    Expr::parse(text).unwrap().at(i, j)
}

#[test]
fn expressions_have_the_expected_values() {
    let cases = [
        ("7", 7),
        ("i", 5),
        ("j", 3),
        ("i^2+2*i+17", 52),
        ("i^2+j^2+2*j+25", 65),
        ("(i+j)*(i-j)", 16),
        ("20-6-3", 11),
        ("2+3*4", 14),
        ("100/7/2", 7),
        ("2*7/3*3", 12),
        ("7%4*2", 6),
        ("2^3^2", 64),
        ("-i", -5),
        ("-i^2", 25),
        ("0-i^2", -25),
        ("+i--j", 8),
        ("-7/2", -3),
        ("-7%4", -3),
        ("((((i))))", 5),
        ("-(i+j)", -8),
        ("9223372036854775807", i64::MAX),
        ("(0-2)^63", i64::MIN),
        ("0^0", 1),
    ];
    for (text, expected) in cases {
        assert_eq!(value(text, 5, 3), Ok(expected), "{text}");
    }
}

#[test]
fn every_arithmetic_error_is_reported() {
    let cases = [
        ("1/0", ArithmeticError::ByZero),
        ("1%(i-5)", ArithmeticError::ByZero),
        ("9223372036854775808", ArithmeticError::Overflow),
        ("9223372036854775807+1", ArithmeticError::Overflow),
        ("0-9223372036854775807-2", ArithmeticError::Overflow),
        ("9223372036854775807*2", ArithmeticError::Overflow),
        ("-((0-2)^63)", ArithmeticError::Overflow),
        ("(0-2)^63/(0-1)", ArithmeticError::Overflow),
        ("(0-2)^63%(0-1)", ArithmeticError::Overflow),
        ("2^63", ArithmeticError::Overflow),
        ("2^9223372036854775807", ArithmeticError::Overflow),
        ("2^(0-1)", ArithmeticError::Exponent),
        ("0*(1/0)", ArithmeticError::ByZero),
        ("1/0+2^63", ArithmeticError::ByZero),
    ];
    for (text, error) in cases {
        assert_eq!(value(text, 5, 3), Err(error), "{text}");
    }
}

#[test]
fn a_malformed_expression_is_refused() {
    let long = "1+".repeat(MAX_LENGTH / 2) + "1";
    let deep = "(".repeat(MAX_DEPTH + 1) + "1" + &")".repeat(MAX_DEPTH + 1);
    let cases = [
        ("", ParseExprError::Empty),
        (&*long, ParseExprError::TooLong),
        (&*"(".repeat(1_000_000), ParseExprError::TooDeep),
        (&*deep, ParseExprError::TooDeep),
        ("i i", ParseExprError::IllegalChar(' ')),
        ("k", ParseExprError::IllegalChar('k')),
        ("1.5", ParseExprError::IllegalChar('.')),
        ("{i}", ParseExprError::IllegalChar('{')),
        ("max(i,j)", ParseExprError::IllegalChar('m')),
        ("ä", ParseExprError::IllegalChar('ä')),
        ("π", ParseExprError::IllegalChar('π')),
        ("i\0", ParseExprError::IllegalChar('\0')),
    ];
    for (text, error) in cases {
        assert_eq!(Expr::parse(text).unwrap_err(), error, "{text}");
    }
    for text in [
        "2i", "ij", "i2", "(i)(j)", "i(2)", "2(i)", "(i)2", "(", ")", "()", "i)", "(i", ")i(", "+",
        "i+", "*i", "i*/j", "i**2", "i^", "()i", "i()", "(*)", "-", "--",
    ] {
        assert_eq!(
            Expr::parse(text).unwrap_err(),
            ParseExprError::Malformed,
            "{text}"
        );
    }
    let deepest = "(".repeat(MAX_DEPTH) + "i" + &")".repeat(MAX_DEPTH);
    assert_eq!(value(&deepest, 5, 0), Ok(5));
    let longest = "1+".repeat(MAX_LENGTH / 2 - 1) + "10";
    assert_eq!(value(&longest, 0, 0), Ok(73));
}

/// Expression as a tree, written with all its brackets or only with those that precedence requires.
enum Tree {
    Number(i64),
    I,
    J,
    Sign(Box<Self>),
    Pair(char, Box<Self>, Box<Self>),
}

impl Tree {
    fn grow(random: &mut Random, depth: u32) -> Self {
        match random.below(if depth == 0 { 3 } else { 9 }) {
            0 => Self::Number(i64::try_from(random.below(40)).unwrap()),
            1 => Self::I,
            2 => Self::J,
            3 => Self::Sign(Box::new(Self::grow(random, depth - 1))),
            _ => {
                let operator = random.one_of(&['+', '-', '*', '/', '%', '^']);
                let left = Box::new(Self::grow(random, depth - 1));
                Self::Pair(operator, left, Box::new(Self::grow(random, depth - 1)))
            }
        }
    }

    fn rank(&self) -> u32 {
        match self {
            Self::Pair('+' | '-', ..) => 1,
            Self::Pair('*' | '/' | '%', ..) => 2,
            Self::Pair(..) => 3,
            Self::Sign(_) => 4,
            Self::Number(_) | Self::I | Self::J => 5,
        }
    }

    fn write(&self) -> String {
        let within = |tree: &Self, least: u32| match tree.rank() < least {
            true => format!("({})", tree.write()),
            false => tree.write(),
        };
        match self {
            Self::Number(n) => n.to_string(),
            Self::I => "i".into(),
            Self::J => "j".into(),
            Self::Sign(inner) => format!("-{}", within(inner, 4)),
            Self::Pair(operator, left, right) => {
                let rank = self.rank();
                format!(
                    "{}{operator}{}",
                    within(left, rank),
                    within(right, rank + 1)
                )
            }
        }
    }

    fn at(&self, i: i64, j: i64) -> Option<i64> {
        match self {
            Self::Number(n) => Some(*n),
            Self::I => Some(i),
            Self::J => Some(j),
            Self::Sign(inner) => inner.at(i, j)?.checked_neg(),
            Self::Pair(operator, left, right) => {
                let (a, b) = (left.at(i, j)?, right.at(i, j)?);
                match operator {
                    '+' => a.checked_add(b),
                    '-' => a.checked_sub(b),
                    '*' => a.checked_mul(b),
                    '/' => a.checked_div(b),
                    '%' => a.checked_rem(b),
                    // Large exponents have a value for few bases only, whose powers repeat.
                    _ if b > 100 && (-1..=1).contains(&a) => {
                        a.checked_pow(if b % 2 == 0 { 100 } else { 101 })
                    }
                    _ => a.checked_pow(u32::try_from(b).ok()?),
                }
            }
        }
    }
}

#[test]
fn generated_expressions_equal_a_slow_evaluator() {
    let mut random = Random(11);
    let (mut worked, mut failed) = (0, 0);
    while worked + failed < 6000 {
        let tree = Tree::grow(&mut random, 5);
        let text = tree.write();
        if text.len() > MAX_LENGTH {
            continue;
        }
        let expr = Expr::parse(&text).unwrap_or_else(|err| panic!("{text}: {err}"));
        let (i, j) = (random.below(1 << 30) as i64, random.below(600) as i64);
        let expected = tree.at(i, j);
        assert_eq!(expr.at(i, j).ok(), expected, "{text} at {i}, {j}");
        *(if expected.is_some() {
            &mut worked
        } else {
            &mut failed
        }) += 1;
    }
    assert!(worked > 1000 && failed > 1000, "{worked} {failed}");
}

#[test]
fn an_expression_that_the_bounds_accept_never_fails() {
    const HIGHEST: i64 = (1 << 30) - 1;
    let mut random = Random(12);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..6000 {
        let tree = Tree::grow(&mut random, 4);
        let text = tree.write().replace('j', "7");
        let Ok(expr) = Expr::parse(&text) else {
            continue;
        };
        let Ok((low, high)) = expr.bounds(HIGHEST) else {
            refused += 1;
            continue;
        };
        accepted += 1;
        let some = (0..20).map(|_| random.below(1 << 30) as i64);
        for i in some.chain(0..40).chain([HIGHEST - 1, HIGHEST]) {
            let value = expr.at(i, 0);
            let within = value.is_ok_and(|value| (low..=high).contains(&value));
            assert!(within, "{text} at {i}: {value:?} not in {low}..={high}");
        }
    }
    assert!(accepted > 1000 && refused > 300, "{accepted} {refused}");
}

#[test]
fn the_bounds_of_one_operation_are_its_extremes() {
    let cases = [
        ("i", (0, 10)),
        ("-i", (-10, 0)),
        ("i+5", (5, 15)),
        ("5-i", (-5, 5)),
        ("i*(i-4)", (-40, 60)),
        ("100/(i+1)", (9, 100)),
        ("(i-4)%3", (-2, 2)),
        ("i%(0-3)", (0, 2)),
        ("(i-4)%9", (-4, 6)),
        ("(0-9223372036854775807-1)%1", (0, 0)),
        ("i^2", (0, 100)),
        ("(i+1)^2", (1, 121)),
        ("(i+2)^i", (1, 12_i64.pow(10))),
        ("(i-3)^3", (-343, 343)),
    ];
    for (text, bounds) in cases {
        assert_eq!(Expr::parse(text).unwrap().bounds(10), Ok(bounds), "{text}");
    }
}

#[test]
fn bounds_with_an_arithmetic_error_are_refused() {
    let cases = [
        ("1/i", ArithmeticError::ByZero),
        ("1/(i-10)", ArithmeticError::ByZero),
        ("1%(5-i)", ArithmeticError::ByZero),
        ("2^64/0", ArithmeticError::Overflow),
        ("2^(i-1)", ArithmeticError::Exponent),
        ("(0-9223372036854775807-1)/(0-1)", ArithmeticError::Overflow),
        ("(0-9223372036854775807-1)%(0-1)", ArithmeticError::Overflow),
    ];
    for (text, error) in cases {
        assert_eq!(Expr::parse(text).unwrap().bounds(10), Err(error), "{text}");
    }
}

#[test]
fn no_text_makes_the_parser_panic() {
    let mut random = Random(13);
    let letters: Vec<char> = "iijj0123456789+-*/%^()()".chars().collect();
    let (mut parsed, mut refused) = (0, 0);
    for _ in 0..50_000 {
        let length = random.below(12);
        let draw = |_| random.one_of(&letters);
        let text: String = (0..length).map(draw).collect();
        match Expr::parse(&text) {
            Ok(expr) => {
                let _ = (expr.at(3, 4), expr.bounds(1000));
                parsed += 1;
            }
            Err(_) => refused += 1,
        }
    }
    assert!(parsed > 500 && refused > 500, "{parsed} {refused}");
}
