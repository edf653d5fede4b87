using Slipway.Runtime.Supervision;

namespace Slipway.Cli.Roles;

/// <summary><c>slipway supervisor --exec-root DIR --data-root DIR</c>: started by an engine, never by hand.</summary>
internal static class SupervisorRole
{
    public const string Name = "supervisor";

    public static int Run(ReadOnlySpan<string> arguments)
    {
        if (arguments is not ["--exec-root", var execRoot, "--data-root", var dataRoot])
        {
            Console.Error.WriteLine("usage: slipway supervisor --exec-root DIR --data-root DIR");
            return 2;
        }

        return SupervisorHost.Run(new SupervisorOptions(execRoot, dataRoot));
    }
}
