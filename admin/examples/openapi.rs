//! Prints the OpenAPI document as the code makes it: `./x openapi` keeps it in `admin/openapi.json`. Serves nothing.

fn main() {
    println!("{}", admin::document().to_pretty_json().expect("the document is JSON"));
}
