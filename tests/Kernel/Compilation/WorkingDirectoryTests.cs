using Slipway.Kernel.Files;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Xunit;

namespace Slipway.Tests.Kernel.Compilation;

/// <summary>The kernel gives up on a walk through <c>..</c> inside a root when anything on the host is renamed meanwhile: nobody's start may depend on that.</summary>
public sealed class WorkingDirectoryTests : IDisposable
{
    private const int Launches = 30;

    /// <summary>Long, so that a rename comes in between more often than not in so many launches.</summary>
    private static readonly string s_detour = string.Concat(Enumerable.Repeat("/tmp/..", 30)) + "/w";

    private readonly TestContainer _container = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Thread _renamer;

    public WorkingDirectoryTests()
    {
        DirectoryEntry.CreateSymbolicLink(_container.Upper.Descriptor, "w", "tmp/../../../bin/../tmp");
        _renamer = new Thread(Rename);
        _renamer.Start();
    }

    public void Dispose()
    {
        _stop.Cancel();
        _renamer.Join();
        _stop.Dispose();
        _container.Dispose();
    }

    [Fact]
    public async Task A_container_starts_behind_links_while_others_rename()
    {
        Spec spec = TestContainer.Shell("pwd -P");
        for (int i = 0; i < Launches; i++)
        {
            Assert.Equal(new Ended(0, "/tmp/made\n", null), await _container.Run(spec with { Process = spec.Process with { Cwd = $"{s_detour}/made" } }));
        }
    }

    [Fact]
    public async Task An_exec_starts_behind_links_while_others_rename()
    {
        await using Running container = await _container.Start(_container.Compile(TestContainer.Shell("echo ready; exec sleep 1000")));
        await container.Wrote("ready");
        var context = new ExecContext { Pid = container.Outcome.Pid, Pidfd = container.Outcome.Pidfd!, Namespaces = ["mount", "pid", "ipc", "uts", "network"] };
        for (int i = 0; i < Launches; i++)
        {
            Assert.Equal(new Ended(0, "/tmp\n", null), await _container.Run(ExecCompiler.Compile(TestContainer.Shell("pwd -P").Process with { Cwd = s_detour }, context)));
        }
    }

    private void Rename()
    {
        string[] names = [Path.Combine(_container.Scratch, "here"), Path.Combine(_container.Scratch, "there")];
        Directory.CreateDirectory(names[0]);
        for (int i = 0; !_stop.IsCancellationRequested; i ^= 1)
        {
            Directory.Move(names[i], names[i ^ 1]);
        }
    }
}
