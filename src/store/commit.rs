//! The version of the source, best effort.

use std::path::{Path, PathBuf};

/// `FORTIFAI_COMMIT` at build time, else the commit checked out around this executable, else
/// `unknown`.
pub(super) fn source_commit() -> String {
    let built = option_env!("FORTIFAI_COMMIT").map(str::to_owned);
    let around = || checked_out(&std::env::current_exe().ok()?);
    built.or_else(around).unwrap_or_else(|| "unknown".into())
}

/// The commit of the innermost repository that holds `path`.
fn checked_out(path: &Path) -> Option<String> {
    let git = path.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    let private = git_folder(&git)?;
    let head = read(private.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else {
        return is_hash(&head).then_some(head);
    };
    // A linked work tree keeps its branches in the common folder.
    let common = match read(private.join("commondir")) {
        Some(relative) => private.join(relative),
        None => private,
    };
    let loose = read(common.join(name));
    let packed = || {
        let lines = read(common.join("packed-refs"))?;
        let of_branch = |line: &str| Some(line.strip_suffix(name)?.strip_suffix(' ')?.to_owned());
        lines.lines().find_map(of_branch)
    };
    loose.or_else(packed).filter(|hash| is_hash(hash))
}

/// `.git` itself, or the folder that it points to.
fn git_folder(git: &Path) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git.to_path_buf());
    }
    let line = read(git.to_path_buf())?;
    Some(git.with_file_name("").join(line.strip_prefix("gitdir: ")?))
}

fn read(path: PathBuf) -> Option<String> {
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}

fn is_hash(text: &str) -> bool {
    text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::checked_out;
    use std::fs;

    #[test]
    fn branches_packed_detached_and_linked_heads_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (first, second) = ("1".repeat(40), "2".repeat(40));
        let git = root.join(".git");
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        fs::create_dir_all(root.join("target/debug")).unwrap();
        let exe = root.join("target/debug/program");
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        assert_eq!(checked_out(&exe), None);
        fs::write(git.join("packed-refs"), format!("# pack\n{first} refs/heads/main\n")).unwrap();
        assert_eq!(checked_out(&exe), Some(first.clone()));
        fs::write(git.join("refs/heads/main"), format!("{second}\n")).unwrap();
        assert_eq!(checked_out(&exe), Some(second.clone()));
        fs::write(git.join("HEAD"), format!("{first}\n")).unwrap();
        assert_eq!(checked_out(&exe), Some(first));

        let linked = git.join("worktrees/side");
        fs::create_dir_all(&linked).unwrap();
        fs::create_dir_all(root.join("side")).unwrap();
        fs::write(root.join("side/.git"), "gitdir: ../.git/worktrees/side\n").unwrap();
        fs::write(linked.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(linked.join("commondir"), "../..\n").unwrap();
        assert_eq!(checked_out(&root.join("side/program")), Some(second));
    }
}
