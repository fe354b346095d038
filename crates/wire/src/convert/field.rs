//! Fields of a message: how one is read, and how its absence, its doubles and its malformed values are
//! named. proto3 does not tell an absent text from an empty one, so both are missing.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use domain::Digest;

use crate::common::v1;
use crate::{Malformed, WireError};

/// A text that must be there.
pub(crate) fn text(field: &'static str, value: String) -> Result<String, WireError> {
    if value.is_empty() {
        Err(WireError::Missing { field })
    } else {
        Ok(value)
    }
}

/// A number of which zero means that there is none.
pub(crate) fn positive<N: Default + PartialEq>(field: &'static str, value: N) -> Result<N, WireError> {
    if value == N::default() {
        Err(WireError::Missing { field })
    } else {
        Ok(value)
    }
}

/// A text that must be there and be a `T`.
pub(crate) fn parsed<T>(field: &'static str, value: &str) -> Result<T, WireError>
where
    T: FromStr,
    Malformed: From<T::Err>,
{
    match value {
        "" => Err(WireError::Missing { field }),
        value => value.parse().map_err(|error| WireError::Malformed {
            field,
            source: Malformed::from(error),
        }),
    }
}

/// A text that is a `T` where it is there.
pub(crate) fn optional<T>(field: &'static str, value: &str) -> Result<Option<T>, WireError>
where
    T: FromStr,
    Malformed: From<T::Err>,
{
    if value.is_empty() {
        Ok(None)
    } else {
        parsed(field, value).map(Some)
    }
}

/// A message that must be there.
pub(crate) fn message<M, D>(field: &'static str, value: Option<M>) -> Result<D, WireError>
where
    D: TryFrom<M, Error = WireError>,
{
    value.ok_or(WireError::Missing { field })?.try_into()
}

/// A list of messages, in its order.
pub(crate) fn list<M, D>(values: Vec<M>) -> Result<Vec<D>, WireError>
where
    D: TryFrom<M, Error = WireError>,
{
    values.into_iter().map(D::try_from).collect()
}

/// A list of keyed values, each key once.
pub(crate) fn keyed<K: Ord, V>(
    field: &'static str,
    values: impl IntoIterator<Item = Result<(K, V), WireError>>,
) -> Result<BTreeMap<K, V>, WireError> {
    let mut map = BTreeMap::new();
    for value in values {
        let (key, value) = value?;
        if map.insert(key, value).is_some() {
            return Err(WireError::Duplicate { field });
        }
    }
    Ok(map)
}

/// A list in which nothing stands twice.
pub(crate) fn distinct<T: Ord>(
    field: &'static str,
    values: impl IntoIterator<Item = Result<T, WireError>>,
) -> Result<BTreeSet<T>, WireError> {
    let map = keyed(
        field,
        values.into_iter().map(|value| value.map(|value| (value, ()))),
    )?;
    Ok(map.into_keys().collect())
}

/// A digest that must be there.
pub(crate) fn digest(field: &'static str, value: Option<v1::Digest>) -> Result<Digest, WireError> {
    one_digest(field, &value.ok_or(WireError::Missing { field })?)
}

/// A digest where it is there.
pub(crate) fn optional_digest(
    field: &'static str,
    value: Option<v1::Digest>,
) -> Result<Option<Digest>, WireError> {
    value.map(|value| one_digest(field, &value)).transpose()
}

/// A digest, reported as this field.
pub(crate) fn one_digest(field: &'static str, value: &v1::Digest) -> Result<Digest, WireError> {
    parsed(field, &format!("{}:{}", value.algorithm, value.hex))
}

/// A specified value of an enum. `M` is the generated enum of the field.
pub(crate) fn choice<M, D>(field: &'static str, value: i32) -> Result<D, WireError>
where
    M: TryFrom<i32>,
    D: TryFrom<M, Error = WireError>,
{
    let known = M::try_from(value).ok().and_then(|known| D::try_from(known).ok());
    known.ok_or(WireError::Enum { field, value })
}
