//! Installing what the tests need: targets and components by rustup, an encoder by pip, the rest by
//! apt.

use crate::cuda;
use crate::embeddings;
use crate::invocation::Invocation;
use crate::requirement::{INSTALLED_BY_SETUP, Requirement};

/// Debian's package of user-mode emulators.
const QEMU_PACKAGE: &[&str] = &["qemu-user"];

/// Debian's package of Chromium.
const CHROMIUM_PACKAGE: &[&str] = &["chromium"];

/// Debian's packages of Node, which are new enough from Debian 13 on.
const NODE_PACKAGES: &[&str] = &["nodejs", "npm"];

/// Debian's packages of Python and its environments.
const PYTHON_PACKAGES: &[&str] = &["python3", "python3-venv"];

/// Installs every missing requirement and returns those that are still missing, with the reason.
pub(crate) fn install_missing() -> Vec<(Requirement, String)> {
    let mut missing = Vec::new();
    for &requirement in INSTALLED_BY_SETUP {
        if requirement.is_present() {
            println!("   {requirement}: present");
            continue;
        }
        println!("   {requirement}: missing, installing");
        let reason = match install(requirement) {
            Ok(()) if requirement.is_present() => continue,
            Ok(()) => "installed, but still not found".to_owned(),
            Err(reason) => reason,
        };
        println!("   {requirement}: COULD NOT BE INSTALLED: {reason}");
        missing.push((requirement, reason));
    }
    missing
}

fn install(requirement: Requirement) -> Result<(), String> {
    match requirement {
        Requirement::Target(triple) => rustup("target", triple),
        Requirement::Component("fmt") => rustup("component", "rustfmt"),
        Requirement::Component(name) => rustup("component", name),
        Requirement::QemuUser => apt_install(QEMU_PACKAGE),
        Requirement::Chromium => apt_install(CHROMIUM_PACKAGE),
        Requirement::Node => apt_install(NODE_PACKAGES),
        Requirement::Program(_, package) => apt_install(&[package]),
        Requirement::Python => apt_install(PYTHON_PACKAGES),
        Requirement::MiniLm => embeddings::install(),
        Requirement::Nvrtc => cuda::install(),
        Requirement::LibrarySource => rustup("component", "rust-src"),
        Requirement::Miri => Err("not installed by setup".into()),
    }
}

fn rustup(kind: &str, name: &str) -> Result<(), String> {
    Invocation::new("rustup").arguments(&[kind, "add", name]).run()
}

fn apt_install(packages: &[&str]) -> Result<(), String> {
    let names = packages.join(" ");
    if Invocation::new("apt-get --version").output().is_none() {
        return Err(format!("no apt-get here: install Debian's {names} or its like by hand"));
    }
    let as_root = privilege().ok_or_else(|| {
        format!("neither root nor passwordless sudo: run `apt-get install {names}` as root")
    })?;
    let apt = |arguments: &[&str]| {
        let program = format!("{as_root} env DEBIAN_FRONTEND=noninteractive apt-get -q");
        Invocation::new(&program).arguments(arguments).run()
    };
    // A package list that is stale or partly unreachable may still know the package.
    if let Err(reason) = apt(&["update"]) {
        println!("   {reason}; trying with the package lists at hand");
    }
    apt(&[&["install", "-y", "--no-install-recommends"], packages].concat())
}

/// What to write before a command for it to run as root: nothing, or sudo; `None` if neither works.
fn privilege() -> Option<&'static str> {
    let is_root = Invocation::new("id -u").output().is_some_and(|id| id.trim() == "0");
    if is_root {
        return Some("");
    }
    Invocation::new("sudo -n true").output().map(|_| "sudo -n")
}

/// One line about what could not be installed, empty if nothing.
pub(crate) fn remark(missing: &[(Requirement, String)]) -> String {
    if missing.is_empty() {
        return String::new();
    }
    let names: Vec<String> =
        missing.iter().map(|(requirement, _)| requirement.to_string()).collect();
    format!("could not install: {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remark_names_what_is_missing() {
        assert_eq!(remark(&[]), "");
        let missing = [
            (Requirement::QemuUser, "no apt-get here".to_owned()),
            (Requirement::Component("clippy"), "offline".to_owned()),
        ];
        assert_eq!(remark(&missing), "could not install: qemu-aarch64, cargo clippy");
    }
}
