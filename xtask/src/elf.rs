//! Sizes of the sections of a 32-bit little-endian ELF file.

/// Name, address and length in bytes of every section that is loaded or takes memory; `None` for
/// anything but such a file.
pub(crate) fn sections(file: &[u8]) -> Option<Vec<(&str, u32, u32)>> {
    const ALLOCATED: u32 = 2;
    let half = |at: usize| Some(u16::from_le_bytes(*file.get(at..)?.first_chunk()?));
    let word = |at: usize| Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?));
    if !file.starts_with(b"\x7FELF\x01\x01") {
        return None;
    }
    let (table, size) = (word(32)? as usize, usize::from(half(46)?));
    let (count, names) = (usize::from(half(48)?), usize::from(half(50)?));
    let names_at = word(table + names * size + 16)? as usize;
    let mut sections = Vec::new();
    for i in 0..count {
        let at = table + i * size;
        let name = file.get(names_at + word(at)? as usize..)?;
        let name = name.split(|&byte| byte == 0).next()?;
        if word(at + 8)? & ALLOCATED != 0 {
            sections.push((str::from_utf8(name).ok()?, word(at + 12)?, word(at + 20)?));
        }
    }
    Some(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_named_and_measured() {
        let mut file = vec![0; 52];
        file[..6].copy_from_slice(b"\x7FELF\x01\x01");
        file.extend(b"\0.text\0.names\0");
        file[32] = file.len() as u8;
        file[46] = 40;
        (file[48], file[50]) = (2, 1);
        let section = |name: u32, flags: u32, address: u32, offset: u32, size: u32| {
            [name, 1, flags, address, offset, size, 0, 0, 0, 0].map(u32::to_le_bytes).concat()
        };
        file.extend(section(1, 6, 0x8000_0000, 0, 1234));
        file.extend(section(7, 0, 0, 52, 14));
        assert_eq!(sections(&file), Some(vec![(".text", 0x8000_0000, 1234)]));
        assert_eq!(sections(&file[..120]), None);
        assert_eq!(sections(b"\x7FELF\x02\x01"), None);
    }
}
