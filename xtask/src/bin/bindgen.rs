//! `bindgen WASM FOLDER NAME`: the glue between JavaScript and a module of wasm-bindgen.
//!
//! Writes NAME.js, NAME.d.ts and NAME_bg.wasm with its types. The glue looks for no file by itself.

use std::process::ExitCode;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [wasm, folder, name] = &words[..] else {
        eprintln!("bindgen WASM FOLDER NAME");
        return ExitCode::FAILURE;
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name(name).typescript(true).omit_default_module_path(true);
    let generated = bindgen.web(true).and_then(|bindgen| bindgen.generate(folder));
    match generated {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{wasm}: {error:?}");
            ExitCode::FAILURE
        }
    }
}
