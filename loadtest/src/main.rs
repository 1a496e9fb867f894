mod driver;
mod floor;
mod origin;
mod sys;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let f = |x: std::net::SocketAddr| {
        println!("listening on {x}");
        Ok(())
    };
    match &a[1][..] {
        "origin" => origin::serve(a[2].parse().unwrap(), 13, f).unwrap(),
        _ => floor::serve(
            if a[1] == "io_uring" {
                driver::Driver::IoUring
            } else {
                driver::Driver::Epoll
            },
            a[2].parse().unwrap(),
            a[3].parse().unwrap(),
            f,
        )
        .unwrap(),
    }
}
