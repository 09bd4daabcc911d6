use super::*;

#[test]
fn every_tool_is_in_the_list_once_and_its_family_names_it_in_go_mod() {
    for tool in Tool::every() {
        assert_eq!(Tool::every().filter(|other| *other == tool).count(), 1, "{tool:?}");
        let sources = tool.family().sources();
        let go_mod = sources.iter().find(|(path, _)| *path == "go.mod").unwrap().1;
        match tool.origin() {
            Origin::Package(package) if package.starts_with("./") => {
                let file = format!("{}/main.go", &package[2..]);
                assert!(sources.iter().any(|(path, _)| *path == file), "{tool:?}");
            }
            Origin::Package(package) => {
                assert!(go_mod.contains(package), "{tool:?}: {package} is no tool of its go.mod")
            }
            Origin::Files { module, .. } => {
                assert!(go_mod.contains(module), "{tool:?}: {module} is not in its go.mod")
            }
        }
    }
}
