//! Compiled sources, kept from one run to the next.
//!
//! A file is named by the source and by a hash of all that went into it: texts, options and the
//! compiler's version. `TRILANE_CACHE` names the folder; else it is `trilane` in the user's folder
//! for caches. Where nothing can be kept, sources are compiled every time.

use super::compile::{Ptx, compile, options, version};
use crate::error::CudaError;
use crate::kernels::{HEADERS, Source};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use trilane_core::model::Digest;

/// The PTX of a source, from the cache or compiled now.
pub(super) fn compiled(source: &'static Source, capability: (u32, u32)) -> Result<Ptx, CudaError> {
    let Some(path) = path(source, capability)? else { return compile(source, capability) };
    if let Some(ptx) = fs::read_to_string(&path).ok().and_then(|text| parse(&text)) {
        return Ok(ptx);
    }
    let ptx = compile(source, capability)?;
    // Without a cache the next run is slower, and that is all.
    let _ = keep(&path, &ptx);
    Ok(ptx)
}

/// The user's folder for caches.
fn folder() -> Option<PathBuf> {
    let named = |key: &str| env::var_os(key).filter(|v| !v.is_empty()).map(PathBuf::from);
    let caches = || {
        named("XDG_CACHE_HOME")
            .or_else(|| named("LOCALAPPDATA"))
            .or_else(|| Some(named("HOME")?.join(".cache")))
    };
    named("TRILANE_CACHE").or_else(|| Some(caches()?.join("trilane")))
}

fn path(source: &'static Source, capability: (u32, u32)) -> Result<Option<PathBuf>, CudaError> {
    let Some(folder) = folder() else { return Ok(None) };
    let mut digest = Digest::default();
    let mut take = |text: &str| {
        digest.bytes(text.as_bytes());
        digest.bytes(&[0]);
    };
    take(source.text);
    HEADERS.iter().for_each(|(_, text)| take(text));
    source.kernels.iter().for_each(|name| take(name));
    options(capability).iter().for_each(|option| take(option));
    take(&format!("{:?}", version()?));
    Ok(Some(folder.join(format!("{}-{:016x}.ptx", source.name, digest.value()))))
}

/// What stands before a kernel's two names.
const KERNEL: &str = "// kernel ";

/// The names as comments, then the PTX.
fn format(ptx: &Ptx) -> String {
    let names = ptx.names.iter().map(|(name, lowered)| format!("{KERNEL}{name} = {lowered}\n"));
    names.chain([ptx.text.clone()]).collect()
}

fn parse(text: &str) -> Option<Ptx> {
    let names = text.lines().map_while(|line| line.strip_prefix(KERNEL)?.split_once(" = "));
    let names: Vec<_> = names.map(|(name, low)| (name.to_owned(), low.to_owned())).collect();
    let text = text.splitn(names.len() + 1, '\n').last()?.to_owned();
    (!names.is_empty() && text.contains(".version")).then_some(Ptx { text, names })
}

/// Writes beside and renames, so that no other run reads half a file.
fn keep(path: &Path, ptx: &Ptx) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    let written = fs::write(&beside, format(ptx)).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again() {
        let names =
            vec![("gate<SILU>".into(), "_Z4gateILi5EE".into()), ("add".into(), "_Z3add".into())];
        let ptx = Ptx { text: "//\n.version 8.8\n.entry\n".into(), names };
        assert_eq!(parse(&format(&ptx)), Some(ptx));
        assert_eq!(parse(""), None);
        assert_eq!(parse("// kernel add = _Z3add\n"), None, "a file that was cut off");
    }
}
