//! A JSON file whose values are looked up by key.

use super::FolderError;
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// Characters of a wrong value that an error shows.
const SHOWN: usize = 64;

/// An object in a file. Keys of objects in it are written with dots: `model.vocab`.
#[derive(Debug)]
pub(super) struct Config {
    path: PathBuf,
    value: Value,
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Self, FolderError> {
        let path = path.to_owned();
        match fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) => Ok(Self { path, value }),
                Err(error) => Err(FolderError::Format { path, what: error.to_string() }),
            },
            Err(error) => Err(FolderError::Io { path, error }),
        }
    }

    /// The value of a key, if it is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let inner = key.split('.').try_fold(&self.value, |value, key| value.get(key));
        inner.filter(|value| !value.is_null())
    }

    fn needed(&self, key: &str) -> Result<&Value, FolderError> {
        let missing = || FolderError::MissingKey { path: self.path.clone(), key: key.into() };
        self.get(key).ok_or_else(missing)
    }

    /// The error of a key whose value is not what it has to be.
    pub(super) fn wrong(&self, key: &str, expected: &'static str) -> FolderError {
        let found = self.get(key).map_or("nothing".into(), Value::to_string);
        let found = found.chars().take(SHOWN).collect();
        FolderError::Value { path: self.path.clone(), key: key.into(), expected, found }
    }

    pub(super) fn text(&self, key: &str) -> Result<&str, FolderError> {
        self.needed(key)?.as_str().ok_or_else(|| self.wrong(key, "text"))
    }

    pub(super) fn object(&self, key: &str) -> Result<&Map<String, Value>, FolderError> {
        self.needed(key)?.as_object().ok_or_else(|| self.wrong(key, "an object"))
    }

    /// A count from 1 to 2²⁴, the limit of the engine.
    pub(super) fn count(&self, key: &str) -> Result<u32, FolderError> {
        let count = self.needed(key)?.as_u64().filter(|n| (1..=1 << 24).contains(n));
        count.map(|n| n as u32).ok_or_else(|| self.wrong(key, "a count from 1 to 2^24"))
    }

    /// As [`count`](Self::count), or `default` where the key is missing.
    pub(super) fn count_or(&self, key: &str, default: u32) -> Result<u32, FolderError> {
        if self.get(key).is_some() { self.count(key) } else { Ok(default) }
    }

    pub(super) fn number(&self, key: &str) -> Result<f32, FolderError> {
        let number = self.needed(key)?.as_f64().map(|x| x as f32);
        let number = number.filter(|x| x.is_finite() && *x > 0.0);
        number.ok_or_else(|| self.wrong(key, "a positive number"))
    }

    pub(super) fn switch_or(&self, key: &str, default: bool) -> Result<bool, FolderError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.wrong(key, "true or false"))
    }

    /// Checks that a key has the value `only`, or is missing.
    pub(super) fn only(
        &self,
        key: &str,
        only: &Value,
        expected: &'static str,
    ) -> Result<(), FolderError> {
        if self.get(key).is_none_or(|value| value == only) {
            Ok(())
        } else {
            Err(self.wrong(key, expected))
        }
    }
}
