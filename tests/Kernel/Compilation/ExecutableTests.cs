using Slipway.Kernel;
using Slipway.Kernel.Files;
using Slipway.Kernel.Process;
using Slipway.Oci.Runtime;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Supervision;
using Xunit;

namespace Slipway.Tests.Kernel.Compilation;

public sealed class ExecutableTests : IDisposable
{
    private readonly TestContainer _container = new();

    public void Dispose() => _container.Dispose();

    [Theory]
    [InlineData("nosuch", PlanFailureKind.ExecutableNotFound, "exec: \"nosuch\": executable file not found in $PATH")]
    [InlineData("/no/such", PlanFailureKind.ExecutableNotFound, "exec: \"/no/such\": stat /no/such: no such file or directory")]
    [InlineData("/etc/passwd", PlanFailureKind.ExecutableNotPermitted, "exec: \"/etc/passwd\": permission denied")]
    [InlineData("/etc", PlanFailureKind.ExecutableNotPermitted, "exec: \"/etc\": is a directory")]
    [InlineData("./nosuch", PlanFailureKind.ExecutableNotFound, "exec: \"./nosuch\": stat ./nosuch: no such file or directory")]
    [InlineData("passwd.d", PlanFailureKind.ExecutableNotFound, "exec: \"passwd.d\": executable file not found in $PATH")]
    [InlineData("", PlanFailureKind.ExecutableNotFound, "exec: \"\": executable file not found in $PATH")]
    [InlineData("/proc/self/exe", PlanFailureKind.ExecutableNotPermitted, "exec: \"/proc/self/exe\": permission denied")]
    [InlineData("/etc/passwd/x", PlanFailureKind.ExecutableNotPermitted, "exec: \"/etc/passwd/x\": stat /etc/passwd/x: not a directory")]
    public void What_cannot_be_executed_is_told_in_dockers_words(string program, PlanFailureKind kind, string message)
    {
        TestContainer.Write(_container.Upper, "/usr/bin/passwd.d", "not executable", 0x1A4);
        var error = Assert.Throws<PlanException>(() => _container.Compile(TestContainer.Spec(program)));
        Assert.Equal(message, error.Message);
        Assert.Equal(kind, error.Kind);
    }

    [Fact]
    public void A_file_only_its_owner_may_execute_is_refused_to_others()
    {
        TestContainer.Write(_container.Upper, "/opt/tool", "#!/bin/sh\n", 0x1C0);
        Spec spec = TestContainer.Spec("/opt/tool");
        var error = Assert.Throws<PlanException>(() => _container.Compile(spec with { Process = spec.Process with { User = new UserSpec(1000, 1000) } }));
        Assert.Equal("exec: \"/opt/tool\": permission denied", error.Message);
        _container.Compile(spec).Dispose();
    }

    [Fact]
    public async Task Relative_programs_and_those_behind_links_run()
    {
        TestContainer.Write(_container.Upper, "/opt/tool", "#!/bin/sh\necho tool $0\n");
        DirectoryEntry.CreateSymbolicLink(_container.Upper.Descriptor, "link", "../../opt/tool");
        Spec spec = TestContainer.Spec("./tool");
        Assert.Equal("tool ./tool\n", (await _container.Run(spec with { Process = spec.Process with { Cwd = "/opt" } })).Output);
        Assert.Equal("tool /link\n", (await _container.Run(TestContainer.Spec("/link"))).Output);
    }

    [Theory]
    [InlineData("\0\0garbage", Errno.ENOEXEC, "exec /opt/bad: exec format error")]
    [InlineData("#!/no/interpreter\n", Errno.ENOENT, "exec /opt/bad: no such file or directory")]
    public async Task What_execve_refuses_is_told(string content, int errno, string message)
    {
        TestContainer.Write(_container.Upper, "/opt/bad", content);
        Ended ended = await _container.Run(TestContainer.Spec("/opt/bad"));
        PlanFailure failure = Assert.IsType<PlanFailure>(ended.Failure);
        Assert.Equal(errno, failure.Errno);
        var error = ExecutableLookup.Explain(new LaunchException(failure.Step, failure.StepCount, failure.Description, failure.Errno));
        Assert.Equal(message, error?.Message);
        Assert.Null(ExecutableLookup.Explain(new LaunchException(3, 10, "execve \"/x\"", errno)));
    }
}
