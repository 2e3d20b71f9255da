//! Tests of the memory of a running process: it contains no keys as text, and is closed to other processes.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, ErrorKind},
    os::unix::{
        fs::{FileExt as _, MetadataExt as _},
        process::CommandExt as _,
    },
    process::{Child, Stdio},
};

use memchr::memmem;

use crate::harness::{
    Directory, eventually,
    gateway::{Gateway, KEY, command, free_port},
    list::{PLAIN, serve, users},
    upstream::Upstream,
};

/// Counts these texts in the writable memory of a process, without its stack, which contains the environment.
fn found(process: u32, texts: &[&str]) -> io::Result<Vec<usize>> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    let mut counts = vec![0; texts.len()];
    for line in BufReader::new(File::open(format!("/proc/{process}/maps"))?).lines() {
        let line = line?;
        let mut columns = line.split_whitespace();
        let (Some(range), Some(permissions)) = (columns.next(), columns.next()) else { continue };
        if !permissions.starts_with("rw") || line.ends_with("[stack]") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("two addresses");
        let address = |text: &str| u64::from_str_radix(text, 16).expect("an address");
        let (start, end) = (address(start), address(end));
        let mut bytes = vec![0; 1 << 20];
        for at in (start..end).step_by((1 << 20) - 256) {
            // Pages of memory that were never used, or that were freed in the meantime, can't be read, so they are
            // skipped.
            let Ok(length) = memory.read_at(&mut bytes, at) else { continue };
            let part = &bytes[..length.min(usize::try_from(end - at).expect("a length"))];
            for (count, text) in counts.iter_mut().zip(texts) {
                *count += memmem::find_iter(part, text).count();
            }
        }
    }
    Ok(counts)
}

/// The memory contains no key as text. Otherwise a dump of the process, or a fault that reveals its memory, would
/// reveal the keys with which every cursor can be forged.
#[test]
fn no_key_stays_in_memory_as_text() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    assert_eq!(gateway.get("/users").outcome(), "200");
    let from_a_file = "the-key-of-a-file-that-only-this-test-knows";
    std::fs::write(gateway.file("key"), format!("{from_a_file}\n")).expect("a file in the test's directory");
    let address = upstream.address.to_string();
    let look = |key: &str| match found(gateway.process(), &[key, &address]) {
        Ok(counts) => {
            assert!(counts[1] > 0, "what is needed is found");
            assert_eq!(counts[0], 0, "{key}");
        }
        // If the test doesn't run as root, it can't read the memory. This refusal protects the keys.
        Err(fault) => assert_eq!(fault.kind(), ErrorKind::PermissionDenied, "{fault}"),
    };
    look(KEY);
    gateway.rewrite_raw(&gateway.configuration().replace("env:CURSORGATE_KEY_1", "file:key"));
    gateway.signal("HUP");
    eventually("the other key is in force", || {
        gateway.log().iter().any(|line| line.contains("configuration reloaded")).then_some(())
    });
    assert_eq!(gateway.get("/users").outcome(), "200");
    look(KEY);
    look(from_a_file);
}

/// The process protects its memory from dumps and from other processes of the same user: its files below `/proc` belong
/// to root.
#[test]
fn the_memory_of_the_process_is_closed_to_other_processes_of_its_user() {
    /// The user `nobody`, for tests that root runs.
    const NOBODY: u32 = 65_534;
    struct Owned(Child);
    impl Drop for Owned {
        fn drop(&mut self) {
            // The process may have ended already, so an error is ignored.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    let address = format!("127.0.0.1:{}", free_port());
    let text = format!(
        "version = 1\nlisteners = {{ public = {{ address = \"{address}\" }} }}\n\
         [upstreams.legacy]\npeers = [\"127.0.0.1:9\"]\n\
         [routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n"
    );
    std::fs::write(&file, text).expect("a file in the test's directory");
    let mut command = command();
    command.args(["run", "--config"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
    if std::fs::metadata("/proc/self").expect("it is ours").uid() == 0 {
        command.uid(NOBODY);
    }
    let mut process = match command.spawn() {
        Ok(child) => Owned(child),
        Err(fault) if fault.kind() == ErrorKind::PermissionDenied => {
            eprintln!("not tested: the checkout is where only root may go");
            return;
        }
        Err(fault) => panic!("{fault}"),
    };
    let environment = format!("/proc/{}/environ", process.0.id());
    eventually("its environment is root's", || {
        assert_eq!(process.0.try_wait().expect("it is our child"), None, "it runs");
        (std::fs::metadata(&environment).ok()?.uid() == 0).then_some(())
    });
}
