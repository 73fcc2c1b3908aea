//! Sections and symbols of a 32-bit little-endian ELF file.

/// A section's header, as far as it is read here.
struct Header {
    /// Where its name begins.
    name: usize,
    kind: u32,
    flags: u32,
    address: u32,
    offset: usize,
    size: u32,
    /// The section that it refers to.
    link: usize,
}

fn half(file: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(*file.get(at..)?.first_chunk()?).into())
}

fn word(file: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*file.get(at..)?.first_chunk()?))
}

/// The string that begins there.
fn text(file: &[u8], at: usize) -> Option<&str> {
    str::from_utf8(file.get(at..)?.split(|&byte| byte == 0).next()?).ok()
}

/// The headers of all sections.
fn headers(file: &[u8]) -> Option<Vec<Header>> {
    if !file.starts_with(b"\x7FELF\x01\x01") {
        return None;
    }
    let (table, size, count) = (word(file, 32)? as usize, half(file, 46)?, half(file, 48)?);
    let header = |i: usize| {
        let field = |at: usize| word(file, table + i * size + at);
        Some(Header {
            name: field(0)? as usize,
            kind: field(4)?,
            flags: field(8)?,
            address: field(12)?,
            offset: field(16)? as usize,
            size: field(20)?,
            link: field(24)? as usize,
        })
    };
    (0..count).map(header).collect()
}

/// Name, address and length in bytes of every section that is loaded or takes memory; `None` for
/// anything but such a file.
pub(crate) fn sections(file: &[u8]) -> Option<Vec<(&str, u32, u32)>> {
    const ALLOCATED: u32 = 2;
    let headers = headers(file)?;
    let names = headers.get(half(file, 50)?)?.offset;
    let allocated = headers.iter().filter(|header| header.flags & ALLOCATED != 0);
    allocated.map(|h| Some((text(file, names + h.name)?, h.address, h.size))).collect()
}

/// The names of all symbols; `None` for a file without them.
pub(crate) fn symbols(file: &[u8]) -> Option<Vec<&str>> {
    const SYMBOLS: u32 = 2;
    const SYMBOL_BYTES: usize = 16;
    let headers = headers(file)?;
    let table = headers.iter().find(|header| header.kind == SYMBOLS)?;
    let names = headers.get(table.link)?.offset;
    let entries = (0..table.size as usize / SYMBOL_BYTES).map(|i| table.offset + i * SYMBOL_BYTES);
    entries.map(|entry| text(file, names + word(file, entry)? as usize)).collect()
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
        assert_eq!(symbols(&file), None);
        assert_eq!(sections(&file[..120]), None);
        assert_eq!(sections(b"\x7FELF\x02\x01"), None);
    }

    #[test]
    fn symbols_are_named() {
        let mut file = vec![0; 52];
        file[..6].copy_from_slice(b"\x7FELF\x01\x01");
        file.extend(b"\0__mulsf3\0main\0");
        for name in [0u32, 1, 10] {
            file.extend([name, 0, 0, 0].map(u32::to_le_bytes).concat());
        }
        file[32] = file.len() as u8;
        file[46] = 40;
        file[48] = 2;
        let section = |kind: u32, offset: u32, size: u32, link: u32| {
            [0, kind, 0, 0, offset, size, link, 0, 0, 0].map(u32::to_le_bytes).concat()
        };
        file.extend(section(3, 52, 15, 0));
        file.extend(section(2, 67, 48, 0));
        assert_eq!(symbols(&file), Some(vec!["", "__mulsf3", "main"]));
    }
}
