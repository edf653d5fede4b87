// LaunchBench BUNDLE COUNT - writes BUNDLE/config.json for runc, launches BUNDLE/rootfs COUNT times in this process, and prints two
// medians in milliseconds: from the finished plan to the reaped process, and the whole with cgroup, root file system and compiling.
using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Slipway.Bench;
using Slipway.Kernel.Cgroups;
using Slipway.Kernel.Files;
using Slipway.Kernel.Mounts;
using Slipway.Kernel.Process;
using Slipway.Runtime.Compilation;
using Slipway.Runtime.Confinement;

var bundle = args[0];
var count = int.Parse(args[1], CultureInfo.InvariantCulture);
Bundle.Write(bundle);

using var cgroups = new ContainerCgroups(CgroupHierarchy.Detect(), TimeProvider.System);
using var launcher = new Launcher();
using SafeFileHandle none = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite);
var seccomp = new SeccompCompiler();
List<double> launches = [];
List<double> wholes = [];
for (var i = 0; i < count; i++)
{
    var whole = Stopwatch.StartNew();
    var spec = Bundle.Spec();
    using var group = cgroups.Create(Bundle.CgroupsPath, spec.Linux.Resources);
    using var rootfs = MountTree.Clone(new HostPath(Path.Combine(bundle, "rootfs")), recursive: false);
    using var compiled = PlanCompiler.Compile(spec, new PlanContext { Rootfs = rootfs, Cgroup = group.Prepare(), Seccomp = seccomp.Compile(spec.Linux.Seccomp!) });
    var order = new LaunchOrder(PlanDocument.Parse(PlanDocument.Serialize(compiled.Plan)), compiled.Plan.Descriptors, none, none, none);
    var launch = Stopwatch.StartNew();
    var outcome = await launcher.LaunchAsync(order);
    if (outcome.Failure is { } failure)
    {
        Console.Error.WriteLine($"step {failure.Step} of {failure.StepCount}, {failure.Description}: errno {failure.Errno}");
        return 1;
    }

    using var pidfd = outcome.Pidfd!;
    var status = Pidfd.Wait(pidfd);
    launches.Add(launch.Elapsed.TotalMilliseconds);
    wholes.Add(whole.Elapsed.TotalMilliseconds);
    if (status.ExitCode != 0)
    {
        Console.Error.WriteLine($"the program ended with {status.ExitCode}");
        return 1;
    }

    await group.DeleteAsync(TimeProvider.System, CancellationToken.None);
}

Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Median(launches):F3} {Median(wholes):F3}"));
return 0;

static double Median(List<double> times) => times.Order().ElementAt(times.Count / 2);
