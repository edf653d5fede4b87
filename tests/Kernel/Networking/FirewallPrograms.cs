using System.Diagnostics;
using Xunit;

namespace Slipway.Tests.Kernel.Networking;

/// <summary>ufw and firewalld as Debian ships them, at work in the lab's host; in a root file system of their own, so that the machine's settings stay as they are (firewall-root).</summary>
internal sealed class FirewallPrograms : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("slipway-firewall-");
    private readonly System.Diagnostics.Process _root;
    private readonly NetworkLab _lab;
    private readonly List<System.Diagnostics.Process> _daemons = [];

    public FirewallPrograms(NetworkLab lab)
    {
        _lab = lab;
        string packages = Packages();
        _root = Start(
            lab.Enter("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL", $"{AppContext.BaseDirectory}/Networking/firewall-root", _folder.FullName, packages));
        Assert.True(_root.StandardOutput.ReadLine() == "ready", _root.HasExited ? _root.StandardError.ReadToEnd() : "no root file system");
    }

    /// <summary>Runs a program inside; its output.</summary>
    public string Run(string program, params string[] arguments) => _lab.Run("nsenter", Inside(program, arguments));

    /// <summary>Starts firewalld with a bus of its own, and waits until it is at work.</summary>
    public async Task StartFirewalldAsync(CancellationToken cancellationToken)
    {
        Run("dbus-daemon", "--system", "--fork");
        System.Diagnostics.Process daemon = Start(_lab.Enter("nsenter", Inside("firewalld", ["--nofork", "--nopid"])));
        _daemons.Add(daemon);
        _ = daemon.StandardOutput.ReadToEndAsync(cancellationToken);
        Task<string> errors = daemon.StandardError.ReadToEndAsync(cancellationToken);
        for (int i = 0; i < 100; i++)
        {
            Assert.False(daemon.HasExited, daemon.HasExited ? await errors : "");
            try
            {
                Run("firewall-cmd", "--state");
                return;
            }
            catch (Xunit.Sdk.XunitException) when (i < 99)
            {
                await Task.Delay(200, cancellationToken);
            }
        }
    }

    public void Dispose()
    {
        // The end of its first process ends all of the process namespace.
        _root.Kill();
        foreach (System.Diagnostics.Process process in (System.Diagnostics.Process[])[_root, .. _daemons])
        {
            process.WaitForExit();
            process.Dispose();
        }

        _folder.Delete();
    }

    private static string Packages()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists($"{folder.FullName}/Slipway.slnx"))
            {
                string packages = $"{folder.FullName}/artifacts/tools/firewalls";
                Assert.True(Directory.Exists(packages), "needs ufw and firewalld: packaging/requirements test fetches them");
                return packages;
            }
        }

        throw new InvalidOperationException($"no Slipway.slnx above {AppContext.BaseDirectory}: run the tests from a checkout");
    }

    private static System.Diagnostics.Process Start(ProcessStartInfo start) => System.Diagnostics.Process.Start(start) ?? throw new InvalidOperationException("install util-linux");

    private string[] Inside(string program, string[] arguments)
    {
        // unshare waits for the process that is the first of the namespace.
        string first = File.ReadAllText($"/proc/{_root.Id}/task/{_root.Id}/children").Trim();
        return ["--target", first, "--mount", "--pid", "--root", "--wd", program, .. arguments];
    }
}
