//! Templates filled in, and those that cannot be.

use super::*;
use crate::scratch::Scratch;

fn values() -> Values {
    let address: SocketAddr = "127.0.0.1:8081".parse().expect("an address");
    Values {
        address,
        port: 8081,
        origin: address,
        origin_port: 3000,
        workers: 2,
        admin_port: 0,
        descriptors: 1000,
        folder: "/tmp/x".into(),
        apis: 2,
        routes: 0,
        policies: 0,
        certificate: PathBuf::new(),
        key: PathBuf::new(),
    }
}

fn filled(files: &[(&str, &str)]) -> Outcome<String> {
    let folder = Scratch::new().expect("a folder");
    for (name, text) in files {
        folder.write(name, text).expect("it is ours");
    }
    // The folder's name differs from run to run.
    let root = folder.path("");
    render(&root, files[0].0, &values())
        .map_err(|error| error.to_string().replace(&*root.to_string_lossy(), "").into())
}

#[test]
fn names_loops_and_what_another_template_gives() {
    let base = "listen {{ address }};\n{% block more %}\nnothing\n{% endblock %}\nend {{ folder }}\n";
    let own = "{% extends 'base.conf' %}\n{% block more %}\n{% for api in range(apis) %}\nlocation /{{ api }}\n\
               {% endfor %}\n{% endblock %}\n";
    let text = filled(&[("own.conf", own), ("base.conf", base)]).expect("all is there");
    assert_eq!(
        text,
        "listen 127.0.0.1:8081;\nlocation /0\nlocation /1\nend /tmp/x\n"
    );
}

#[test]
fn what_gateways_use_themselves_is_left_alone() {
    let text = "a { b } $host %[req.hdr(host)] %{+X}o ${x} # { {\n";
    assert_eq!(filled(&[("a", text)]).expect("nothing to fill in"), text);
}

#[test]
fn an_unknown_name_is_told_with_file_and_line() {
    let message = filled(&[("own.conf", "one\ntwo {{ adress }}\n")])
        .expect_err("there is no adress")
        .to_string();
    assert!(
        message.starts_with("own.conf:2: ") && message.contains("adress"),
        "{message}"
    );
    let files = [
        ("own.conf", "{% extends 'base.conf' %}"),
        ("base.conf", "\n\n{{ nobody }}"),
    ];
    let message = filled(&files).expect_err("there is no nobody").to_string();
    assert!(message.starts_with("base.conf:3: "), "{message}");
}

#[test]
fn a_template_names_no_file_outside_the_folder() {
    for name in ["../secret", "/etc/hostname", "missing"] {
        let text = format!("{{% extends '{name}' %}}");
        filled(&[("own.conf", &text)]).expect_err("it is not below the folder");
    }
}
