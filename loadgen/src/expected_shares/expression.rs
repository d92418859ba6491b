//! Hash functions of a classic ring, as typed: integers, i and j, + - * / % and ( ). Pure.
//!
//! An expression is parsed once and evaluated for every key. Overflow and division by zero have no
//! value.

/// Highest nesting depth of parentheses and signs.
const MAX_DEPTH: usize = 32;

/// An expression over i and j.
#[derive(Debug)]
pub(crate) enum Expression {
    Number(i64),
    I,
    J,
    Binary(u8, Box<[Self; 2]>),
}

impl Expression {
    /// Parses `text`; `None` if it is not an expression.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        let mut rest = text.as_slice();
        let whole = parse_sum(&mut rest, 0)?;
        rest.is_empty().then_some(whole)
    }

    /// Value of the expression; `None` after an overflow or a division by zero.
    pub(super) fn value(&self, i: i64, j: i64) -> Option<i64> {
        let (sign, sides) = match self {
            Self::Number(number) => return Some(*number),
            Self::I => return Some(i),
            Self::J => return Some(j),
            Self::Binary(sign, sides) => (sign, sides),
        };
        let (left, right) = (sides[0].value(i, j)?, sides[1].value(i, j)?);
        match sign {
            b'+' => left.checked_add(right),
            b'-' => left.checked_sub(right),
            b'*' => left.checked_mul(right),
            b'/' => left.checked_div(right),
            _ => left.checked_rem(right),
        }
    }
}

fn parse_sum(rest: &mut &[u8], depth: usize) -> Option<Expression> {
    parse_chain(rest, depth, b"+-", parse_product)
}

fn parse_product(rest: &mut &[u8], depth: usize) -> Option<Expression> {
    parse_chain(rest, depth, b"*/%", parse_operand)
}

/// Parses operands with these operators between them, left-associative.
fn parse_chain(
    rest: &mut &[u8],
    depth: usize,
    signs: &[u8],
    operand: fn(&mut &[u8], usize) -> Option<Expression>,
) -> Option<Expression> {
    let mut left = operand(rest, depth)?;
    while let Some((sign, after)) = rest.split_first().filter(|(sign, _)| signs.contains(sign)) {
        *rest = after;
        let right = operand(rest, depth)?;
        left = Expression::Binary(*sign, Box::new([left, right]));
    }
    Some(left)
}

fn parse_operand(rest: &mut &[u8], depth: usize) -> Option<Expression> {
    let (first, after) = rest.split_first().filter(|_| depth < MAX_DEPTH)?;
    if first.is_ascii_digit() {
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = rest.split_at(len);
        *rest = after;
        return Some(Expression::Number(
            str::from_utf8(digits).ok()?.parse().ok()?,
        ));
    }
    *rest = after;
    match first {
        b'i' => Some(Expression::I),
        b'j' => Some(Expression::J),
        b'-' => {
            let right = parse_operand(rest, depth + 1)?;
            Some(Expression::Binary(
                b'-',
                Box::new([Expression::Number(0), right]),
            ))
        }
        b'(' => {
            let inner = parse_sum(rest, depth + 1)?;
            *rest = rest.strip_prefix(b")")?;
            Some(inner)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_follow_operator_precedence() {
        let cases = [
            ("i*i+2*i+17", Some(41)),
            ("(i+j)*2 - 20%7", Some(12)),
            ("10-3-2", Some(5)),
            ("-i+j", Some(1)),
            ("j/i", Some(1)),
            ("i/(j-5)", None),
            ("9223372036854775807*i", None),
        ];
        for (text, value) in cases {
            assert_eq!(
                Expression::parse(text).unwrap().value(4, 5),
                value,
                "{text}"
            );
        }
        let deep = "(".repeat(40) + "i" + &")".repeat(40);
        for text in [
            "",
            "i+",
            "2i",
            "(i",
            "k",
            "i**j",
            "99999999999999999999",
            &deep,
        ] {
            assert!(Expression::parse(text).is_none(), "{text}");
        }
    }
}
