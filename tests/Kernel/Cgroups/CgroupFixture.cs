using System.Diagnostics;
using Slipway.Kernel.Cgroups;
using Slipway.Runtime.Confinement;
using Xunit;
using HostProcess = System.Diagnostics.Process;

namespace Slipway.Tests.Kernel.Cgroups;

/// <summary>Groups below one of the test's own, removed at the end whatever happened; processes for them.</summary>
public abstract class CgroupFixture : IAsyncLifetime
{
    private readonly List<HostProcess> _processes = [];

    protected CgroupFixture()
    {
        Cgroups = new ContainerCgroups(CgroupHierarchy.Detect(), TimeProvider.System);
        Root = Cgroups.Root($"slipway-confine-test-{Environment.ProcessId}-{GetType().Name}");
    }

    protected ContainerCgroups Cgroups { get; }

    protected CgroupRoot Root { get; }

    protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    protected string Path(string name) => $"{Root.Path}/{name}";

    /// <summary>Starts <c>sh -c script</c> in a group; it joins before the script runs, as a container's init does.</summary>
    protected HostProcess Start(Cgroup group, string script)
    {
        string joins = "";
        foreach (CgroupMount mount in Cgroups.Hierarchy.Mounts)
        {
            joins += $"echo $$ > {mount.MountPoint}/{group.Path}/cgroup.procs && ";
        }

        ProcessStartInfo info = new("/bin/sh", ["-c", $"{joins}exec /bin/sh -c \"$0\"", script]) { RedirectStandardOutput = true, RedirectStandardError = true };
        HostProcess process = HostProcess.Start(info)!;
        _processes.Add(process);
        return process;
    }

    protected async Task<(int ExitCode, string Output)> Run(Cgroup group, string script)
    {
        HostProcess process = Start(group, script);
        Task<string> output = process.StandardOutput.ReadToEndAsync(Cancellation);
        Task<string> errors = process.StandardError.ReadToEndAsync(Cancellation);
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, await output + await errors);
    }

    protected static async Task Until(Func<bool> condition, string what)
    {
        for (int i = 0; i < 3000; i++)
        {
            if (condition())
            {
                return;
            }

            await Task.Delay(10, Cancellation);
        }

        Assert.Fail($"waited in vain until {what}");
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (string name in Root.ListChildren())
        {
            using Cgroup? group = Root.TryOpen(name);
            if (group is not null)
            {
                await group.KillAsync(TimeProvider.System, CancellationToken.None);
                await group.DeleteAsync(TimeProvider.System, CancellationToken.None);
            }
        }

        _processes.ForEach(process => process.Dispose());
        Assert.True(Root.TryDelete(), "the test's own control group is left behind");
        Cgroups.Dispose();
        GC.SuppressFinalize(this);
    }
}
