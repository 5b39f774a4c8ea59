//! Turns `proto/service.proto` into Rust without a `protoc` on the machine.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let descriptors = protox::compile(["service.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // Their derived Debug would print tokens and secret bytes.
        .skip_debug(["v1alpha1.MountRequest", "v1alpha1.MountResponse", "v1alpha1.File"])
        .compile_fds(descriptors)?;
    println!("cargo::rerun-if-changed=proto/service.proto");
    Ok(())
}
