//! Values that are written as the text that people see. For `#[serde(with = ...)]`.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize as _, Deserializer, Serializer, de};

pub(in crate::stored::raw) fn serialize<T: Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

pub(in crate::stored::raw) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: FromStr,
    T::Err: Display,
    D: Deserializer<'de>,
{
    String::deserialize(deserializer)?
        .parse()
        .map_err(de::Error::custom)
}

/// The same, or null.
pub(super) mod option {
    use super::*;

    pub(in crate::stored::raw) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::stored::raw) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        Option::<String>::deserialize(deserializer)?
            .map(|text| text.parse().map_err(de::Error::custom))
            .transpose()
    }
}

/// The result of a check.
pub(super) mod result {
    use domain::CheckResult;

    use super::*;

    const ALL: [CheckResult; 3] = [CheckResult::Passed, CheckResult::Failed, CheckResult::NotChecked];

    pub(in crate::stored::raw) fn serialize<S: Serializer>(
        value: &CheckResult,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::stored::raw) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<CheckResult, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = ALL.into_iter().find(|result| result.to_string() == text);
        found.ok_or_else(|| de::Error::custom(format!("{text:?} is no result of a check")))
    }
}
