using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Slipway.Kernel;
using Slipway.Kernel.Security;
using Slipway.Runtime.Confinement;
using Xunit;
using HostProcess = System.Diagnostics.Process;

namespace Slipway.Tests.Kernel.Security;

/// <summary>
/// Makes every system call of x86-64 with and without the default filter. docs/security.md lists what must be refused; that list is the
/// same as what dockerd's default profile refuses (compared by reading dockerd 26.1's filter out of a container).
/// </summary>
public sealed partial class SeccompProbeTests : IDisposable
{
    private const int LastCall = 470;

    private readonly string _directory = Directory.CreateTempSubdirectory("slipway-confine-").FullName;

    [Fact]
    public async Task The_default_profile_refuses_what_dockers_refuses()
    {
        Assert.SkipUnless(RuntimeInformation.ProcessArchitecture == Architecture.X64, "the list is of x86-64");
        SeccompProgram program = SeccompCompiler.Build(
            SeccompProfile.Default.Resolve([.. CapabilityPolicy.Default], Architecture.X64, Environment.OSVersion.Version)!);
        await File.WriteAllBytesAsync($"{_directory}/filter", program.Instructions.ToArray(), TestContext.Current.CancellationToken);
        await Run("gcc", "-O1", "-Wall", "-o", $"{_directory}/probe", $"{AppContext.BaseDirectory}/Security/seccomp-probe.c");
        Dictionary<int, int> free = await Probe();
        Dictionary<int, int> filtered = await Probe($"{_directory}/filter");

        HashSet<int> listed = [.. Document().Select(name => Libseccomp.ResolveSystemCall(AuditArchitectureX64, name)).Where(number => number >= 0)];
        Assert.True(listed.Count > 60, $"only {listed.Count} of the listed calls are known here");

        // These two are refused with the probe's arguments, all ones, but not with others.
        const int clone = 56;
        const int personality = 135;
        const int clone3 = 435;
        int known = listed.Max();
        foreach ((int number, int result) in filtered)
        {
            int expected = listed.Contains(number) || number is clone or personality ? number == clone3 ? Errno.ENOSYS : Errno.EPERM : free[number];
            if (number > known)
            {
                // Newer than libseccomp: not there, whatever the kernel has; or there, where this libseccomp knows it.
                Assert.True(result == Errno.ENOSYS || result == free[number] || result == Errno.EPERM, $"call {number}: {result}");
            }
            else if (free[number] != Errno.ENOSYS || listed.Contains(number))
            {
                Assert.True(expected == result, $"call {number}: {result} instead of {expected}");
            }
        }
    }

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private const uint AuditArchitectureX64 = 0xC000003E;

    private async Task<Dictionary<int, int>> Probe(params string[] filter)
    {
        string output = await Run($"{_directory}/probe", ["0", LastCall.ToString(CultureInfo.InvariantCulture), .. filter]);
        Dictionary<int, int> results = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' '))
            .ToDictionary(fields => int.Parse(fields[0], CultureInfo.InvariantCulture), fields => int.Parse(fields[1], CultureInfo.InvariantCulture));
        Assert.Equal(LastCall + 1, results.Count);
        return results;
    }

    private static async Task<string> Run(string program, params string[] arguments)
    {
        ProcessStartInfo info = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using HostProcess process = HostProcess.Start(info)!;
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, $"{program}: {await errors}");
        return output;
    }

    private static IEnumerable<string> Document() => File.ReadLines($"{AppContext.BaseDirectory}/Security/security.md")
        .SkipWhile(line => line != "## System calls").TakeWhile(line => line != "Allowed by argument:")
        .Select(line => Row().Match(line)).Where(row => row.Success).Select(row => row.Groups[1].Value);

    [GeneratedRegex(@"^\| `([^`]+)` \|")]
    private static partial Regex Row();
}
