using System.ComponentModel;
using System.Diagnostics;
using Slipway.Kernel.Files;
using Slipway.Storage.Threading;

namespace Slipway.Engine.Builds.Sources;

/// <summary>
/// A commit of a git repository as a tree. Nothing is checked out: git writes the commit as an archive, so that no link, hook or filter of the repository gets to do
/// anything here. Addresses and references are never options.
/// </summary>
internal static class GitRepository
{
    private static readonly string[] s_schemes = ["https://", "http://", "git://", "ssh://", "git@"];

    /// <summary>What is exported is the commit: attributes of the repository leave nothing out and write nothing in, as in a checkout (gitattributes(5)).</summary>
    private const string Attributes = "* -export-ignore -export-subst\n";

    /// <param name="address"><c>address[#reference[:folder]]</c>.</param>
    /// <param name="keepGitDirectory">With the commit's own history, the commit alone, in <c>.git</c>; a folder has none.</param>
    /// <exception cref="EngineException">It cannot be had.</exception>
    public static async Task<SourceTree> CloneAsync(string address, bool keepGitDirectory, SpoolDirectory spools, CancellationToken cancellationToken)
    {
        (string remote, string reference, string folder) = Parse(address);
        HostPath directory = new(Directory.CreateTempSubdirectory("slipway-git-").FullName);
        try
        {
            await RunAsync(directory, ["init", "--quiet", "--bare", "."], output: null, cancellationToken);
            await File.WriteAllTextAsync((directory / "info" / "attributes").Value, Attributes, cancellationToken);
            await RunAsync(directory, ["-c", "fetch.unpackLimit=1", "fetch", "--quiet", "--depth", "1", "--no-recurse-submodules", "--", remote, reference], output: null, cancellationToken);
            IReadOnlyList<string> kept = keepGitDirectory && folder.Length == 0 ? await KeepAsync(directory, remote, cancellationToken) : [];
            Spool spool = spools.Create();
            try
            {
                await RunAsync(
                    directory, ["-c", "tar.umask=0022", "archive", "--format=tar", .. kept, folder.Length == 0 ? "FETCH_HEAD" : $"FETCH_HEAD:{folder}"], spool, cancellationToken);
            }
            catch
            {
                spool.Dispose();
                throw;
            }

            return await WorkerThread.RunAsync("build-git", () => ArchiveTree.Read(spool, spools, cancellationToken));
        }
        finally
        {
            Directory.Delete(directory.Value, recursive: true);
        }
    }

    /// <exception cref="EngineException">InvalidParameter: it could be read as an option, or is none of the forms.</exception>
    internal static (string Remote, string Reference, string Folder) Parse(string address)
    {
        string[] parts = address.Split('#', 2);
        string remote = parts[0].StartsWith("github.com/", StringComparison.Ordinal) ? "https://" + parts[0] : parts[0];
        string[] fragment = parts.Length > 1 ? parts[1].Split(':', 2) : [];
        string reference = fragment is [{ Length: > 0 } given, ..] ? given : "HEAD";
        string folder = fragment.Length > 1 ? fragment[1].Trim('/') : "";
        bool valid = s_schemes.Any(scheme => remote.StartsWith(scheme, StringComparison.Ordinal)) && !reference.StartsWith('-') && !folder.StartsWith('-')
            && !remote.AsSpan().ContainsAny('\0', '\n') && !reference.AsSpan().ContainsAny('\0', '\n', ':') && !folder.Split('/').Contains("..");

        // ssh takes a host that begins with a dash for an option (CVE-2017-1000117).
        string host = remote.Contains("://", StringComparison.Ordinal) ? remote[(remote.IndexOf("://", StringComparison.Ordinal) + 3)..] : remote[(remote.IndexOf('@', StringComparison.Ordinal) + 1)..];
        return valid && !host.StartsWith('-') && !host.Split('@')[^1].StartsWith('-')
            ? (remote, reference, folder) : throw new EngineException(ErrorKind.InvalidParameter, $"invalid git address: {address}");
    }

    /// <summary>
    /// Makes of a bare repository what belongs into <c>.git</c>, the same bytes for the same commit whatever the server sent: one pack, compressed anew by one thread, and an
    /// index that has no times of files.
    /// </summary>
    /// <returns>Options of git archive that add it.</returns>
    private static async Task<IReadOnlyList<string>> KeepAsync(HostPath directory, string remote, CancellationToken cancellationToken)
    {
        await RunAsync(directory, ["update-ref", "--no-deref", "HEAD", "FETCH_HEAD^{commit}"], output: null, cancellationToken);
        string? name = NameOf(await File.ReadAllTextAsync((directory / "FETCH_HEAD").Value, cancellationToken));
        if (name is not null)
        {
            await RunAsync(directory, ["update-ref", name, "FETCH_HEAD"], output: null, cancellationToken);
        }

        await RunAsync(directory, ["-c", "pack.threads=1", "-c", "repack.writeBitmaps=false", "repack", "-a", "-d", "-F", "-q"], output: null, cancellationToken);
        await RunAsync(directory, ["read-tree", "HEAD"], output: null, cancellationToken);
        await File.WriteAllTextAsync((directory / "config").Value, Configuration(remote), cancellationToken);

        // A repository has a directory for references, also where there are none; an archive has none that is empty.
        (string folder, string reference) = name is null ? ("refs/", "refs/.keep") : (name[..(name.LastIndexOf('/') + 1)], name);
        if (name is null)
        {
            await File.WriteAllTextAsync((directory / "refs" / ".keep").Value, "", cancellationToken);
        }

        IEnumerable<string> packs = Directory.EnumerateFiles((directory / "objects" / "pack").Value).Select(Path.GetFileName).Order(StringComparer.Ordinal)!;
        return [
            "--prefix=.git/", "--add-file=HEAD", "--add-file=config", "--add-file=index", .. File.Exists((directory / "shallow").Value) ? ["--add-file=shallow"] : Array.Empty<string>(),
            "--prefix=.git/objects/pack/", .. packs.Select(pack => $"--add-file=objects/pack/{pack}"),
            $"--prefix=.git/{folder}", $"--add-file={reference}",
            "--prefix=",
        ];
    }

    /// <summary>Of a work tree, with its remote. Users and passwords of web addresses stay here, as either may be a token; that of ssh is part of where the repository is.</summary>
    internal static string Configuration(string remote)
    {
        string shown = Uri.TryCreate(remote, UriKind.Absolute, out Uri? address) && address.UserInfo.Length > 0
            ? new UriBuilder(address) { UserName = address.Scheme == "ssh" ? address.UserInfo.Split(':')[0] : "", Password = "" }.Uri.AbsoluteUri : remote;
        string quoted = shown.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
        return "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\tlogallrefupdates = true\n"
            + $"[remote \"origin\"]\n\turl = \"{quoted}\"\n\tfetch = +refs/heads/*:refs/remotes/origin/*\n";
    }

    /// <summary>The reference that was fetched, as a clone calls it; null: none has a name. FETCH_HEAD has <c>ID TAB [not-for-merge] TAB branch|tag 'NAME' of ADDRESS</c>.</summary>
    private static string? NameOf(string fetched)
    {
        string what = fetched.Split('\n')[0].Split('\t') is [_, _, var described] ? described : "";
        int end = what.LastIndexOf("' of ", StringComparison.Ordinal);
        return end < 0 ? null
            : what.StartsWith("branch '", StringComparison.Ordinal) ? $"refs/remotes/origin/{what["branch '".Length..end]}"
            : what.StartsWith("tag '", StringComparison.Ordinal) ? $"refs/tags/{what["tag '".Length..end]}"
            : null;
    }

    private static async Task RunAsync(HostPath directory, IReadOnlyList<string> arguments, Spool? output, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new("git", arguments)
        {
            WorkingDirectory = directory.Value, RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true,
            Environment =
            {
                ["GIT_TERMINAL_PROMPT"] = "0", ["GIT_CONFIG_NOSYSTEM"] = "1", ["GIT_CONFIG_GLOBAL"] = "/dev/null", ["GIT_ALLOW_PROTOCOL"] = "http:https:git:ssh",
                ["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes",
            },
        };
        try
        {
            using Process git = Process.Start(start)!;
            git.StandardInput.Close();
            try
            {
                Task<string> errors = git.StandardError.ReadToEndAsync(cancellationToken);
                if (output is not null)
                {
                    await using FileStream file = new(Descriptors.Reopen(output.File, OpenFlags.WriteOnly), FileAccess.Write);
                    await git.StandardOutput.BaseStream.CopyToAsync(file, cancellationToken);
                }

                await git.WaitForExitAsync(cancellationToken);
                if (git.ExitCode != 0)
                {
                    throw new EngineException(ErrorKind.InvalidParameter, $"error fetching: {(await errors).Trim()}");
                }
            }
            catch (OperationCanceledException)
            {
                git.Kill(entireProcessTree: true);
                throw;
            }
        }
        catch (Win32Exception error)
        {
            throw new EngineException(ErrorKind.System, $"unable to find 'git': {error.Message}", error);
        }
    }
}
