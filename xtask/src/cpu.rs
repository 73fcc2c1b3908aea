//! The instruction sets that backend tests must not skip on this machine.
//!
//! Read from `/proc/cpuinfo` and not through the detection macros of the standard library: the
//! kernels use those, and a requirement that shares its source with what it checks proves little.

/// Names as `TRILANE_REQUIRE` uses them, each with the kernel's flags that together stand for it.
const INSTRUCTION_SETS: &[(&str, &[&str])] = &[
    ("avx2", &["avx2"]),
    ("avx512vnni", &["avx512f", "avx512bw", "avx512vl", "avx512_vnni"]),
    ("avx512", &["avx512f", "avx512bw", "avx512vl", "avx512vbmi", "avx512_vnni", "gfni"]),
    ("neon", &["asimd"]),
    ("neondot", &["asimddp"]),
];

/// The comma-separated instruction sets of this machine; empty where they cannot be read.
pub(crate) fn required() -> String {
    std::fs::read_to_string("/proc/cpuinfo").map_or_else(|_| String::new(), |text| listed(&text))
}

/// The instruction sets that the first processor of a `/proc/cpuinfo` text has.
fn listed(cpuinfo: &str) -> String {
    let flags: Vec<&str> = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| matches!(key.trim(), "flags" | "Features"))
        .map_or_else(Vec::new, |(_, value)| value.split_whitespace().collect());
    let present = |needed: &&[&str]| needed.iter().all(|flag| flags.contains(flag));
    let names: Vec<&str> = INSTRUCTION_SETS
        .iter()
        .filter(|(_, needed)| present(needed))
        .map(|(name, _)| *name)
        .collect();
    names.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x86_flags() {
        let zen4 = "processor\t: 0\nflags\t\t: avx2 avx512f avx512bw avx512vl avx512vbmi gfni avx512_vnni\n";
        assert_eq!(listed(zen4), "avx2,avx512vnni,avx512");
        assert_eq!(listed("flags : fpu avx2 avx_vnni\n"), "avx2");
    }

    #[test]
    fn vnni_without_gfni_is_a_set_of_its_own() {
        let cascade_lake = "flags : avx2 avx512f avx512bw avx512vl avx512_vnni\n";
        assert_eq!(listed(cascade_lake), "avx2,avx512vnni");
    }

    #[test]
    fn avx512_without_vnni_is_not_required() {
        assert_eq!(listed("flags : avx2 avx512f avx512bw avx512vl\n"), "avx2");
    }

    #[test]
    fn flag_names_match_whole_words() {
        assert_eq!(listed("flags : xavx2 avx2x\n"), "");
    }

    #[test]
    fn arm_features() {
        assert_eq!(listed("processor : 0\nFeatures : fp asimd asimddp\n"), "neon,neondot");
    }

    #[test]
    fn no_flags_no_requirement() {
        assert_eq!(listed(""), "");
        assert_eq!(listed("processor : 0\n"), "");
    }
}
