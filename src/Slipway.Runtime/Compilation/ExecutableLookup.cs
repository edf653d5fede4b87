using Microsoft.Win32.SafeHandles;
using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Supervision;

namespace Slipway.Runtime.Compilation;

/// <summary>
/// Finds the program of a process in the container's tree, as the user it will run as. It only decides what to say: execve in the child
/// decides what happens. The texts are Go's os/exec ones, which clients turn into exit codes 126 and 127.
/// </summary>
public static class ExecutableLookup
{
    /// <summary>Opens a path inside the container, O_PATH, links followed. Null for what cannot be looked into: procfs.</summary>
    /// <returns>0 or the error number.</returns>
    internal delegate int Resolver(string path, out SafeFileHandle? file);

    /// <summary>The path to execute.</summary>
    /// <exception cref="PlanException">There is no such program, or it cannot be executed.</exception>
    internal static string Find(ProcessSpec process, Resolver resolve)
    {
        if (process.Args.Count == 0)
        {
            throw PlanException.Invalid("process.args must not be empty");
        }

        string name = process.Args[0];
        if (name.Contains('/', StringComparison.Ordinal))
        {
            string path = name.StartsWith('/') ? name : $"{process.Cwd.TrimEnd('/')}/{name}";
            return Probe(path, process, resolve) switch
            {
                0 => name,
                Errno.EISDIR => throw new PlanException(PlanFailureKind.ExecutableNotPermitted, $"exec: \"{name}\": is a directory"),
                Errno.EACCES => throw new PlanException(PlanFailureKind.ExecutableNotPermitted, $"exec: \"{name}\": permission denied"),
                Errno.ENOTDIR => throw new PlanException(PlanFailureKind.ExecutableNotPermitted, $"exec: \"{name}\": stat {name}: not a directory"),
                Errno.ELOOP => throw new PlanException(PlanFailureKind.ExecutableNotPermitted, $"exec: \"{name}\": stat {name}: too many levels of symbolic links"),
                _ => throw new PlanException(PlanFailureKind.ExecutableNotFound, $"exec: \"{name}\": stat {name}: no such file or directory"),
            };
        }

        string search = process.Env.LastOrDefault(e => e.StartsWith("PATH=", StringComparison.Ordinal)) ?? "PATH=";
        foreach (string directory in name.Length == 0 ? [] : search[5..].Split(':'))
        {
            string path = $"{directory.TrimEnd('/')}/{name}";
            if (directory.StartsWith('/') && Probe(path, process, resolve) == 0)
            {
                return path;
            }
        }

        throw new PlanException(PlanFailureKind.ExecutableNotFound, $"exec: \"{name}\": executable file not found in $PATH");
    }

    /// <summary>What a failure of the plan's last step means; null where another step failed.</summary>
    /// <remarks>ENOENT: a script whose interpreter is missing, or a program whose loader is.</remarks>
    public static PlanException? Explain(LaunchException failure)
    {
        if (failure.Step != failure.StepCount || !failure.Description.StartsWith("execve \"", StringComparison.Ordinal))
        {
            return null;
        }

        string path = failure.Description[8..^1];
        return failure.Errno switch
        {
            Errno.ENOENT => new PlanException(PlanFailureKind.ExecutableNotFound, $"exec {path}: no such file or directory", failure),
            Errno.EACCES or Errno.EPERM => new PlanException(PlanFailureKind.ExecutableNotPermitted, $"exec {path}: permission denied", failure),
            Errno.ENOEXEC => new PlanException(PlanFailureKind.Invalid, $"exec {path}: exec format error", failure),
            _ => new PlanException(PlanFailureKind.Invalid, $"exec {path}: {failure.Message}", failure),
        };
    }

    /// <returns>0 or the error number.</returns>
    private static int Probe(string path, ProcessSpec process, Resolver resolve)
    {
        int errno = resolve(path, out SafeFileHandle? file);
        if (errno != 0)
        {
            return errno;
        }

        using (file)
        {
            // Inside procfs: /proc/self/exe would be the engine's own program, executed in the container (CVE-2019-5736).
            return file is null ? Errno.EACCES : Judge(file, process.User);
        }
    }

    private static int Judge(SafeFileHandle file, UserSpec user)
    {
        FileStatus status = FileStatus.Of(file);
        if (status.IsDirectory)
        {
            return Errno.EISDIR;
        }

        const uint Any = 0x49; // 0111
        bool mayExecute = user.Uid == 0
            ? (status.Permissions & Any) != 0
            : (status.Permissions & (status.UserId == user.Uid ? 0x40u : status.GroupId == user.Gid || user.AdditionalGids.Contains(status.GroupId) ? 8u : 1u)) != 0;
        return mayExecute && Descriptors.FileSystemType(file) != Descriptors.ProcSuperMagic ? 0 : Errno.EACCES;
    }
}
