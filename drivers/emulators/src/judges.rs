//! Programs of others that judge what drivers print: an encoder to compare bytes with, a renderer of labels, a reader of
//! codes. `./x servers` puts them in place; where they are not, the test fails and says so.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where `./x servers` put them.
fn place() -> PathBuf {
    let servers = std::env::var_os("GATEHOUSE_TEST_SERVERS").map_or_else(
        || {
            let user = rustix::process::getuid().as_raw();
            std::env::temp_dir().join(format!("gatehouse-test-servers-{user}"))
        },
        PathBuf::from,
    );
    servers.join("judges")
}

/// Runs a Python script with these arguments and this input; gives what it prints.
///
/// # Panics
/// Where the judges are not in place, or the script fails.
pub fn python(script: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let program = place().join("python/bin/python");
    run(Command::new(program).arg("-c").arg(script).args(arguments), input)
}

/// Renders the first label of a ZPL text of so many dots at 203 dpi: PNG.
///
/// # Panics
/// As [`python`].
pub fn render_zpl(zpl: &str, width: u16, height: u16) -> Vec<u8> {
    let script = r#"
const { ready } = require(process.argv[1]);
const zpl = require("node:fs").readFileSync(0, "utf8");
ready.then(async ({ api }) => {
  const mm = (dots) => Number(dots) / 8;
  const label = await api.zplToBase64Async(zpl, mm(process.argv[2]), mm(process.argv[3]), 8);
  process.stdout.write(Buffer.from(label, "base64"), () => process.exit(0));
});"#;
    let module = place().join("node/node_modules/zpl-renderer-js");
    let mut node = Command::new("node");
    node.arg("-e").arg(script).arg("--").arg(module).args([width.to_string(), height.to_string()]);
    run(&mut node, zpl.as_bytes())
}

/// What the codes in a PNG say, in no particular order.
///
/// # Panics
/// As [`python`].
pub fn read_codes(png: &[u8]) -> Vec<Vec<u8>> {
    let script = r#"
import io, sys, PIL.Image, zxingcpp
image = PIL.Image.open(io.BytesIO(sys.stdin.buffer.read())).convert("L")
for code in zxingcpp.read_barcodes(image):
    print(bytes(code.bytes).hex())
"#;
    let text = String::from_utf8(python(script, &[], png)).expect("hex is ASCII");
    text.lines().map(unhex).collect()
}

fn unhex(line: &str) -> Vec<u8> {
    let digits = line.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect("hex is ASCII"));
    digits.map(|pair| u8::from_str_radix(pair, 16).expect("hex digits")).collect()
}

fn run(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; run ./x servers first"));
    let mut pipe = child.stdin.take().expect("it was asked for");
    let input = input.to_vec();
    // On a thread: a program that prints before it has read all must not wait for us, nor we for it.
    let feeding = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().expect("its output can be read");
    feeding.join().expect("writing does not panic");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output.stdout
}
