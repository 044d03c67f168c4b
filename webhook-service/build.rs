//! A new migration file alone does not make cargo rebuild what embeds the folder.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
