//! `trilane devices`: the GPUs that there are.

use crate::device::refused;
use crate::error::Error;
use crate::table::Table;
use clap::Args;
use serde_json::{Value, json};
use std::io::Write;
use trilane::cuda::Device;

/// List the GPUs of this machine
///
/// NVIDIA's driver is looked for when the command runs; exit code 5 when there is none.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  trilane devices
  trilane run model.gguf --prompt 'Once upon a time' --device cuda:0")]
pub(crate) struct DevicesArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn devices(args: &DevicesArgs, out: &mut dyn Write) -> Result<(), Error> {
    let devices = Device::list().map_err(|e| refused(&e))?;
    if args.json {
        let value = devices.iter().enumerate().map(|(ordinal, info)| {
            let (major, minor) = info.capability;
            json!({
                "device": format!("cuda:{ordinal}"),
                "name": info.name,
                "capability": format!("{major}.{minor}"),
                "memory": info.memory,
                "multiprocessors": info.multiprocessors,
                "l2": info.l2_bytes,
            })
        });
        return Ok(writeln!(out, "{}", Value::from_iter(value))?);
    }
    let headings = ["device", "name", "capability", "memory", "multiprocessors", "L2"];
    let mut table = Table::new(headings);
    for (ordinal, info) in devices.iter().enumerate() {
        let (major, minor) = info.capability;
        table.row([
            format!("cuda:{ordinal}"),
            info.name.clone(),
            format!("{major}.{minor}"),
            format!("{:.1} GiB", info.memory as f64 / (1u64 << 30) as f64),
            info.multiprocessors.to_string(),
            format!("{:.1} MiB", info.l2_bytes as f64 / (1u64 << 20) as f64),
        ]);
    }
    Ok(table.write(out)?)
}
