//! Settings, commands and their exit codes.

use crate::support::{Site, finish, program, run, run_with};
use std::net::TcpListener;

#[test]
fn every_mistake_is_told_at_once_and_the_exit_code_is_64() {
    let site = Site::bare();
    let file = site.file("bad.toml", b"data_dri = 'x'\nlive = 7\nstore = 'oracle'\n");
    let environment = [
        ("GATEHOUSE_WORKERS", "many"),
        ("GATEHOUSE_TYPO", "1"),
        ("KQT300_API_PORT", "99999"),
        ("KQT300_API_SECRET", "short"),
        ("DATABASE_URL_FILE", "/nowhere/secret"),
    ];
    for command in ["serve", "check-config", "print-config"] {
        let done = run_with(
            &[command, "--config", &file, "--device-addr", "8080", "--log-format", "xml"],
            &environment,
        );
        assert_eq!(done.code, 64, "{command}: {done:?}");
        for part in [
            "data_dri",
            "did you mean",
            "live",
            "oracle",
            "GATEHOUSE_WORKERS",
            "many",
            "GATEHOUSE_TYPO",
            "KQT300_API_PORT",
            "registration_secret",
            "/nowhere/secret",
            "8080",
            "xml",
        ] {
            assert!(done.err.contains(part), "{command} does not name {part}: {done:?}");
        }
        assert!(!done.said().contains("panicked"), "{done:?}");
    }
}

#[test]
fn bad_arguments_are_64_and_a_missing_file_is_named() {
    for arguments in [
        &["--bogus"][..],
        &["serve", "--bogus"],
        &["nonsense"],
        &[],
        &["import", "tickets", "x.csv"],
        &["ticket", "shred", "X"],
    ] {
        let done = run(arguments);
        assert_eq!(done.code, 64, "{arguments:?}: {done:?}");
        assert!(done.err.contains("sage") || done.err.contains("--help"), "{done:?}");
    }
    let done = run(&["check-config", "--config", "/nowhere/gatehouse.toml"]);
    assert_eq!(done.code, 64);
    assert!(done.err.contains("/nowhere/gatehouse.toml"), "{done:?}");
    let done = run(&["check-config", "--config", "/tmp"]);
    assert_eq!(done.code, 64, "{done:?}");
}

#[test]
fn demo_data_is_refused_in_production_together_with_other_mistakes() {
    let site = Site::demo().set("APP_ENV", "production");
    let done = site.fails_to_start();
    assert_eq!(done.code, 64, "{done:?}");
    assert!(done.err.contains("--demo") && done.err.contains("production"), "{done:?}");
    assert!(!site.data().exists(), "nothing was made");
    let done = site.set("GATEHOUSE_WORKERS", "many").fails_to_start();
    assert!(done.code == 64 && done.err.contains("many"), "{done:?}");
    assert!(done.err.contains("--demo"), "all mistakes at once: {done:?}");
}

#[test]
fn demo_data_is_refused_where_other_events_are() {
    let site = Site::venue("A,SEAT,\n");
    let server = site.start();
    server.stop();
    let mut command = program();
    command.args([
        "serve",
        "--demo",
        "--live",
        "off",
        "--device-addr",
        "127.0.0.1:0",
        "--admin-addr",
        "127.0.0.1:0",
        "--data-dir",
        &site.data_text(),
    ]);
    let done = finish(command);
    assert_eq!(done.code, 64, "it is the setting that is wrong: {done:?}");
    assert!(done.err.contains("--demo") && done.err.contains(&site.data_text()), "{done:?}");
    let server = site.start();
    assert_eq!(server.metric("gatehouse_tickets"), 1.0, "nothing was added");
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_does_no_damage() {
    let site = Site::demo();
    let server = site.start();
    server.scan(1, "DEMO-STD-000001", "before");
    let done = site.fails_to_start();
    assert!(done.code == 70 || done.code == 64, "{done:?}");
    assert!(done.err.contains("use") && done.err.contains(&site.data_text()), "{done:?}");
    assert!(!done.err.contains("panicked"), "{done:?}");
    assert_eq!(server.scan(1, "DEMO-STD-000002", "after")["access_granted"], true);
    // Its commands still find the first server.
    site.command(&["ticket", "block", "DEMO-STD-000003"]).well();
    assert_eq!(server.scan(1, "DEMO-STD-000003", "blocked")["reason"], "blocked");
    server.stop();
    site.command(&["journal", "verify", &site.journal().display().to_string()]).well();
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for name in ["GATEHOUSE_DEVICE_ADDR", "GATEHOUSE_ADMIN_ADDR"] {
        let site = Site::bare();
        let other =
            if name == "GATEHOUSE_DEVICE_ADDR" { "GATEHOUSE_ADMIN_ADDR" } else { "GATEHOUSE_DEVICE_ADDR" };
        let done = run_with(
            &["serve", "--live", "off", "--data-dir", &site.data_text()],
            &[(name, &addr), (other, "127.0.0.1:0")],
        );
        assert!(done.code == 70 || done.code == 64, "{done:?}");
        assert!(done.err.contains(&addr) && done.err.contains("in use"), "{done:?}");
        assert!(!done.err.contains("panicked"), "{done:?}");
        site.start().stop();
    }
}

#[test]
fn a_port_of_another_gatehouse_is_in_use_too() {
    let first = Site::demo();
    let server = first.start();
    for (name, addr) in [("--device-addr", server.device), ("--admin-addr", server.api)] {
        let second = Site::bare();
        let other = if name == "--device-addr" { "--admin-addr" } else { "--device-addr" };
        let done = run(&[
            "serve",
            "--live",
            "off",
            "--data-dir",
            &second.data_text(),
            name,
            &addr.to_string(),
            other,
            "127.0.0.1:0",
        ]);
        assert!(done.code != 0 && done.err.contains("in use"), "{name}: {done:?}");
    }
    for n in 0..20 {
        assert_eq!(server.scan(1, "DEMO-STAFF-001", &format!("x{n}"))["access_granted"], true);
    }
}

#[test]
fn secrets_are_hidden_and_read_from_files() {
    let site = Site::bare();
    let secret = site.file("secret", b"s3cret-of-the-venue\n");
    let environment = [
        ("KQT300_API_SECRET_FILE", secret.as_str()),
        ("GATEHOUSE_DEMO_PASSWORD", "pass-of-the-demo"),
        ("DATABASE_URL", "postgres://u:pass-of-db@h/d"),
    ];
    let done = run_with(&["print-config"], &environment).well();
    for hidden in ["s3cret-of-the-venue", "pass-of-the-demo", "pass-of-db"] {
        assert!(!done.said().contains(hidden), "{done:?}");
    }
    assert!(
        done.out.contains("registration_secret") && done.out.contains("hidden") && done.out.contains(&secret),
        "{done:?}"
    );
    let file = site.file("good.toml", b"registration_secret = 's3cret-in-the-file'\nworkers = 2\n");
    let done = run_with(&["print-config", "--config", &file], &[]).well();
    assert!(!done.said().contains("s3cret-in-the-file") && done.out.contains("good.toml"), "{done:?}");
    let with = site.set("KQT300_API_SECRET_FILE", &secret);
    let server = with.start();
    assert_eq!(
        server.post("/api/kqt300/register", r#"{"device_id":"N1","secret":"s3cret-of-the-venue"}"#).status,
        200
    );
    assert_eq!(
        server.post("/api/kqt300/register", r#"{"device_id":"N2","secret":"s3cret-of-the-venue\n"}"#).status,
        401
    );
}

#[test]
fn the_plans_environment_is_understood() {
    let environment = [
        ("DB_HOST", "db"),
        ("DB_PORT", "5432"),
        ("DB_DATABASE", "d"),
        ("DB_USERNAME", "u"),
        ("DB_PASSWORD", "pass-of-the-plan"),
        ("REDIS_HOST", "r"),
        ("REDIS_PORT", "6379"),
        ("REDIS_PASSWORD", "pass-of-redis"),
        ("KQT300_API_ENABLED", "true"),
        ("KQT300_API_PORT", "9191"),
        ("KQT300_API_SECRET", "a-long-enough-secret"),
        ("KQT300_TIMEOUT", "30"),
        ("KQT300_DEVICE_IP", "192.168.1.100"),
        ("APP_ENV", "local"),
        ("APP_URL", "http://localhost"),
    ];
    assert!(run_with(&["check-config"], &environment).well().out.contains("good"));
    let done = run_with(&["print-config"], &environment).well();
    assert!(done.out.contains("127.0.0.1:9191"), "{done:?}");
    for hidden in ["pass-of-the-plan", "pass-of-redis", "a-long-enough-secret"] {
        assert!(!done.said().contains(hidden), "{done:?}");
    }
    let site = Site::bare().set("KQT300_API_ENABLED", "false");
    let server = site.start();
    assert!(!server.screen.contains("device port"), "{}", server.screen);
    server.stop();
}

#[test]
fn healthcheck_and_version_tell_by_their_exit_codes() {
    let site = Site::bare();
    let server = site.start();
    let addr = server.api.to_string();
    run(&["healthcheck", "--admin-addr", &addr]).well();
    server.stop();
    let done = run(&["healthcheck", "--admin-addr", &addr]);
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("unhealthy"), "{done:?}");
    let version = run(&["version"]).well();
    assert!(
        version.out.starts_with("gatehouse ") && version.out.contains(env!("CARGO_PKG_VERSION")),
        "{version:?}"
    );
    run(&["--version"]).well();
}

#[test]
fn the_help_of_every_command_names_what_it_needs() {
    for (command, words) in [
        (
            "",
            &[
                "serve",
                "import",
                "export",
                "journal",
                "healthcheck",
                "user",
                "version",
                "check-config",
                "print-config",
            ][..],
        ),
        (
            "serve",
            &[
                "--demo",
                "--data-dir",
                "--device-addr",
                "--admin-addr",
                "--store",
                "--database-url",
                "--config",
            ],
        ),
        ("check-config", &["--config", "64"]),
        ("print-config", &["--config", "hidden"]),
        ("import", &["tickets", "venue"]),
        (
            "import tickets",
            &[
                "--event",
                "FILE",
                "--dry-run",
                "--all-or-nothing",
                "--encoding",
                "CSV",
                "NDJSON",
                "code",
                "type",
                "valid_until",
            ],
        ),
        ("import venue", &["FILE", "TOML"]),
        ("export", &["scans", "tickets", "--format", "ndjson", "--event", "--output"]),
        ("journal", &["inspect", "verify"]),
        ("journal inspect", &["DIR"]),
        ("journal verify", &["DIR"]),
        ("healthcheck", &["/healthz"]),
        ("user", &["add"]),
        ("user add", &["--email", "--role", "supervisor", "--password-file"]),
        ("ticket", &["block", "activate", "cancel", "code"]),
        ("version", &["version"]),
    ] {
        let mut arguments: Vec<&str> = command.split(' ').filter(|word| !word.is_empty()).collect();
        arguments.push("--help");
        let done = run(&arguments).well();
        for word in words {
            assert!(
                done.out.to_lowercase().contains(&word.to_lowercase()),
                "{command} --help does not name {word}: {}",
                done.out
            );
        }
    }
}

#[test]
fn commands_that_find_nothing_say_what_is_missing() {
    let site = Site::bare();
    let done = site.command(&["export", "scans"]);
    assert!(done.code != 0 && done.err.contains("--data-dir"), "{done:?}");
    let done = run(&["journal", "verify", "/nowhere"]);
    assert!(done.code != 0 && done.err.contains("/nowhere"), "{done:?}");
    let venue = Site::venue("A,SEAT,\n");
    let done = venue.command(&["ticket", "block", "NOTHING"]);
    assert!(done.code == 1 && done.err.contains("NOTHING"), "{done:?}");
    let done = venue.command(&[
        "import",
        "tickets",
        "--event",
        "cupp",
        &venue.file("l.csv", b"code,type\nX,SEAT\n"),
    ]);
    assert!(done.code != 0 && done.err.contains("cupp") && done.err.contains("cup"), "{done:?}");
    let done = venue.command(&["export", "scans", "--event", "cupp"]);
    assert!(done.code != 0 && done.err.contains("cupp"), "{done:?}");
}

/// A server that was killed leaves its address behind; whoever listens there now must not be taken for it.
#[test]
fn a_command_is_not_led_astray_by_the_address_of_a_dead_server() {
    let first = Site::venue("A,SEAT,\n");
    let server = first.start();
    let addr = server.api.to_string();
    server.kill();
    let second = Site::bare();
    let (_guard, out) = {
        let mut command = program();
        let out = std::path::PathBuf::from(second.file("screen", b""));
        command.args([
            "serve",
            "--live",
            "off",
            "--device-addr",
            "127.0.0.1:0",
            "--admin-addr",
            &addr,
            "--data-dir",
            &second.data_text(),
        ]);
        command.stdout(std::fs::File::create(&out).unwrap()).stderr(std::process::Stdio::null());
        (crate::support::Guard(command.spawn().unwrap()), out)
    };
    crate::support::until("the second server", || {
        std::fs::read_to_string(&out).unwrap().contains("Stop with").then_some(())
    });
    let done = first.command(&["ticket", "block", "A"]);
    assert_eq!(done.code, 0, "its own data directory is free: {done:?}");
    let server = first.start();
    assert_eq!(
        server.post("/api/access/validate", &crate::support::venue_scan("A", "1")).json()["reason"],
        "blocked"
    );
}
