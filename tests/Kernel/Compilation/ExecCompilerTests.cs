using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Xunit;

namespace Slipway.Tests.Kernel.Compilation;

public sealed class ExecCompilerTests : IDisposable
{
    private static readonly string[] s_namespaces = ["mount", "pid", "ipc", "uts", "network"];

    private readonly TestContainer _container = new();

    public void Dispose() => _container.Dispose();

    private Task<Running> Start() => _container.Start(_container.Compile(TestContainer.Shell("echo ready; exec sleep 1000")));

    private static ExecContext Context(Running container) => new() { Pid = container.Outcome.Pid, Pidfd = container.Outcome.Pidfd!, Namespaces = s_namespaces };

    private static ProcessSpec Process(params string[] args) => TestContainer.Spec(args).Process;

    [Fact]
    public async Task An_exec_joins_all_namespaces_the_root_and_the_credentials()
    {
        await using Running container = await Start();
        await container.Wrote("ready");
        Ended exec = await _container.Run(ExecCompiler.Compile(
            Process("sh", "-c", "hostname; ps -o pid,args | grep 'sleep 1000' | grep -v grep; ls /; id -u; grep CapEff /proc/self/status; pwd; ls /proc/self/fd"), Context(container)));
        Assert.Null(exec.Failure);
        Assert.StartsWith("web\n    1 sleep 1000\nbin\ndev\n", exec.Output, StringComparison.Ordinal);
        Assert.EndsWith("0\nCapEff:\t00000000a80425fb\n/\n0\n1\n2\n3\n", exec.Output, StringComparison.Ordinal);
        foreach (string space in new[] { "mnt", "pid", "ipc", "uts", "net" })
        {
            string inner = (await _container.Run(ExecCompiler.Compile(Process("readlink", $"/proc/self/ns/{space}"), Context(container)))).Output;
            Assert.Equal(File.ResolveLinkTarget($"/proc/{container.Outcome.Pid}/ns/{space}", false)!.Name, inner.TrimEnd());
        }
    }

    [Fact]
    public async Task Its_own_user_directory_and_exit_code()
    {
        await using Running container = await Start();
        ProcessSpec process = Process("sh", "-c", "id -u; id -G; pwd; exit 7") with { User = new UserSpec(1000, 1000) { AdditionalGids = [1000, 5] }, Cwd = "/tmp" };
        Ended exec = await _container.Run(ExecCompiler.Compile(process, Context(container)));
        Assert.Equal(new Ended(7, "1000\n1000 5\n/tmp\n", null), exec);
    }

    [Fact]
    public async Task A_terminal_comes_from_the_containers_devpts()
    {
        await using Running container = await Start();
        CompiledPlan plan = ExecCompiler.Compile(Process("sh", "-c", "tty > /out; stty size >> /out") with { Terminal = true, ConsoleSize = new ConsoleSize(10, 20) }, Context(container));
        using var terminal = plan.Terminal;
        await using Running exec = await _container.Start(plan);
        Assert.Equal(0, (await exec.Wait()).ExitCode);
        Assert.Equal("/dev/pts/0\n10 20\n"u8.ToArray(), _container.Upper.ReadFile("out", 100));
    }

    [Fact]
    public async Task Programs_are_looked_up_in_the_container()
    {
        await using Running container = await Start();
        Assert.Equal("exec: \"nosuch\": executable file not found in $PATH", Assert.Throws<PlanException>(() => ExecCompiler.Compile(Process("nosuch"), Context(container))).Message);
        Assert.Equal("exec: \"/etc\": is a directory", Assert.Throws<PlanException>(() => ExecCompiler.Compile(Process("/etc"), Context(container))).Message);

        // The host has it, the container has not.
        Assert.Throws<PlanException>(() => ExecCompiler.Compile(Process("/usr/bin/dpkg"), Context(container)));
    }

    [Fact]
    public async Task An_exec_in_a_container_that_has_ended_fails()
    {
        Running container = await Start();
        ExecContext context = Context(container);
        await using (container)
        {
            Pidfd.SendSignal(container.Outcome.Pidfd!, 9);
            await container.Wait();
            Assert.Equal("container is not running", Assert.Throws<PlanException>(() => ExecCompiler.Compile(Process("true"), context)).Message);
        }
    }

    [Fact]
    public async Task CVE_2024_21626_no_descriptor_leads_an_exec_out_of_the_root()
    {
        await using Running container = await Start();
        for (int n = 3; n <= 64; n++)
        {
            Ended exec;
            try
            {
                exec = await _container.Run(ExecCompiler.Compile(Process("pwd") with { Cwd = $"/proc/self/fd/{n}" }, Context(container)));
            }
            catch (PlanException)
            {
                continue;
            }

            Assert.NotNull(exec.Failure);
            Assert.Contains("working directory", exec.Failure.Description, StringComparison.Ordinal);
        }
    }
}
