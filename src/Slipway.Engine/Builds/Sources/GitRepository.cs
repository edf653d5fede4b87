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

    /// <param name="address"><c>address[#reference[:folder]]</c>.</param>
    /// <exception cref="EngineException">It cannot be had.</exception>
    public static async Task<SourceTree> CloneAsync(string address, bool keepGitDirectory, SpoolDirectory spools, CancellationToken cancellationToken)
    {
        if (keepGitDirectory)
        {
            throw new EngineException(ErrorKind.NotImplemented, "--keep-git-dir is not implemented by this version of Slipway: files of a repository come without its history");
        }

        (string remote, string reference, string folder) = Parse(address);
        HostPath directory = new(Directory.CreateTempSubdirectory("slipway-git-").FullName);
        try
        {
            await RunAsync(directory, ["init", "--quiet", "--bare", "."], output: null, cancellationToken);
            await RunAsync(directory, ["fetch", "--quiet", "--depth", "1", "--no-recurse-submodules", "--", remote, reference], output: null, cancellationToken);
            Spool spool = spools.Create();
            try
            {
                await RunAsync(directory, ["archive", "--format=tar", folder.Length == 0 ? "FETCH_HEAD" : $"FETCH_HEAD:{folder}"], spool, cancellationToken);
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
