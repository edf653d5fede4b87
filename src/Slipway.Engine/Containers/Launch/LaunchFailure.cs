using Slipway.Engine.Containers.Foreign;
using Slipway.Kernel;
using Slipway.Networking;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Confinement;
using Slipway.Runtime.Hooks;
using Slipway.Runtime.Supervision;
using Slipway.Storage;

namespace Slipway.Engine.Containers.Launch;

/// <summary>
/// Why a process could not be started, in the words by which the docker CLI chooses its own exit code: 127 for "executable file
/// not found" and "no such file or directory", 126 for "permission denied" and "is a directory".
/// </summary>
internal sealed class LaunchFailure : Exception
{
    public const int NotFoundCode = 127;
    public const int NotExecutableCode = 126;
    public const int OtherCode = 128;

    private const string StartPrefix = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
    private const string ExecPrefix = "OCI runtime exec failed: exec failed: unable to start container process: ";

    private LaunchFailure(ErrorKind kind, string message, int exitCode, Exception cause) : base(message, cause)
    {
        Kind = kind;
        ExitCode = exitCode;
    }

    public ErrorKind Kind { get; }

    /// <summary>The kernel knows no program of this form: it is for another processor, or damaged.</summary>
    public bool IsForeignFormat => (InnerException as LaunchException ?? InnerException?.InnerException as LaunchException)?.Errno == Errno.ENOEXEC;

    /// <summary>The message without the steps through which it came.</summary>
    public string Reason
    {
        get
        {
            string reason = Message.StartsWith(StartPrefix, StringComparison.Ordinal) ? Message[StartPrefix.Length..] : Message;
            return reason.EndsWith(": unknown", StringComparison.Ordinal) ? reason[..^": unknown".Length] : reason;
        }
    }

    /// <summary>As the state of the container, or the exec, shows it.</summary>
    public int ExitCode { get; }

    /// <summary>Of a container's first process.</summary>
    public static LaunchFailure From(Exception exception) => exception switch
    {
        LaunchFailure failure => failure,
        EngineException engine => new LaunchFailure(engine.Kind, engine.Message, OtherCode, engine),
        StorageException storage => new LaunchFailure(ErrorKind.System, storage.Message, OtherCode, storage),
        NetworkException network => new LaunchFailure(ContainerErrors.From(network).Kind, ContainerErrors.From(network).Message, OtherCode, network),
        ConfinementException confinement => new LaunchFailure(ErrorKind.InvalidParameter, confinement.Message, OtherCode, confinement),
        LaunchException launch => Of(StartPrefix, launch),
        PlanException plan => Of(StartPrefix, plan, OtherCode),
        HookException hook => new LaunchFailure(ErrorKind.System, $"{StartPrefix}{hook.Message}: unknown", OtherCode, hook),
        ForeignRuntimeException foreign => Of("failed to create task for container: failed to create shim task: OCI runtime create failed: ", foreign, OtherCode),
        _ => new LaunchFailure(ErrorKind.System, $"failed to create task for container: {exception.Message}", OtherCode, exception),
    };

    /// <summary>Of an exec.</summary>
    public static LaunchFailure FromExec(Exception exception) => exception switch
    {
        LaunchFailure failure => failure,
        LaunchException launch => Of(ExecPrefix, launch),
        PlanException plan => Of(ExecPrefix, plan, NotExecutableCode),
        ForeignRuntimeException foreign => Of("OCI runtime exec failed: ", foreign, NotExecutableCode),
        EngineException engine => new LaunchFailure(engine.Kind, engine.Message, NotExecutableCode, engine),
        _ => new LaunchFailure(ErrorKind.System, $"OCI runtime exec failed: exec failed: {exception.Message}", NotExecutableCode, exception),
    };

    private static LaunchFailure Of(string prefix, LaunchException launch) => (launch.Errno, launch.Description.StartsWith("execve ", StringComparison.Ordinal)) switch
    {
        (Errno.ENOENT, true) => new LaunchFailure(ErrorKind.InvalidParameter, $"{prefix}exec: {Program(launch)}: no such file or directory: unknown", NotFoundCode, launch),
        (Errno.EACCES, true) => new LaunchFailure(ErrorKind.InvalidParameter, $"{prefix}exec: {Program(launch)}: permission denied: unknown", NotExecutableCode, launch),
        (Errno.ENOEXEC, true) => new LaunchFailure(ErrorKind.InvalidParameter, $"{prefix}exec: {Program(launch)}: exec format error: unknown", NotExecutableCode, launch),
        _ => new LaunchFailure(ErrorKind.System, $"{prefix}{launch.Message}", OtherCode, launch),
    };

    private static LaunchFailure Of(string prefix, PlanException plan, int otherCode) => plan.Kind switch
    {
        PlanFailureKind.ExecutableNotFound => new LaunchFailure(ErrorKind.InvalidParameter, $"{prefix}{plan.Message}: unknown", NotFoundCode, plan),
        PlanFailureKind.ExecutableNotPermitted => new LaunchFailure(ErrorKind.InvalidParameter, $"{prefix}{plan.Message}: unknown", NotExecutableCode, plan),
        _ => new LaunchFailure(ErrorKind.InvalidParameter, plan.Message, otherCode, plan),
    };

    /// <summary>As Docker reads what a runtime says.</summary>
    private static LaunchFailure Of(string prefix, ForeignRuntimeException foreign, int otherCode)
    {
        int code = Says("executable file not found") || Says("no such file or directory") || (Says("executable file") && Says("not found")) ? NotFoundCode
            : Says("permission denied") || Says("is a directory") ? NotExecutableCode
            : otherCode;
        return new LaunchFailure(ErrorKind.InvalidParameter, $"{prefix}{foreign.Message}: unknown", code, foreign);

        bool Says(string words) => foreign.Message.Contains(words, StringComparison.OrdinalIgnoreCase);
    }

    private static string Program(LaunchException launch) => launch.Description["execve ".Length..];
}
