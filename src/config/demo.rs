//! The configuration of `ringway demo`.

/// A small API on 127.0.0.1:8081 in front of an origin at 127.0.0.1:`origin_port`. It is an example of the
/// inline style, and compiled as any other configuration.
pub fn demo_yaml(origin_port: u16) -> String {
    DEMO.replace("ORIGIN_PORT", &origin_port.to_string())
}

const DEMO: &str = include_str!("demo.yaml");
