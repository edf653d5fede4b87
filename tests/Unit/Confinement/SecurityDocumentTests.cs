using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Slipway.Kernel.Security;
using Slipway.Runtime.Confinement;
using Xunit;

namespace Slipway.Tests.Unit.Confinement;

/// <summary>docs/security.md says what the code does.</summary>
public sealed partial class SecurityDocumentTests
{
    private static readonly string Document = File.ReadAllText(Locate("docs/security.md"));

    [Fact]
    public void The_capabilities_are_the_default_set()
    {
        string[] listed = [.. Section("Capabilities").Select(line => Row().Match(line)).Where(row => row.Success).Select(row => row.Groups["first"].Value)];
        Assert.Equal(CapabilityPolicy.Default.Order(StringComparer.Ordinal), listed);
    }

    [Fact]
    public void The_refused_system_calls_are_those_the_filter_refuses()
    {
        Dictionary<int, string> listed = [];
        foreach (string name in RefusedCalls().Keys)
        {
            int number = Libseccomp.ResolveSystemCall(FilterInterpreter.X64, name);
            if (number >= 0)
            {
                listed.Add(number, name);
            }
        }

        Assert.True(listed.Count > 60, $"libseccomp knows only {listed.Count} of the calls in the document");
        byte[] program = Program(CapabilityPolicy.Default);
        for (int number = 0; number <= listed.Keys.Max(); number++)
        {
            if (!HasName(number))
            {
                continue;
            }

            // Where some argument is allowed the call is not refused; personality wants a certain one.
            bool refused = new ulong[] { 0, 1 }.All(argument => !FilterInterpreter.Run(program, FilterInterpreter.X64, number, argument).CarriesOut);
            Assert.True(refused == listed.ContainsKey(number), $"{number} {listed.GetValueOrDefault(number)}: refused {refused}");
        }
    }

    [Fact]
    public void Each_capability_in_the_table_allows_its_call_and_no_other_does()
    {
        foreach (string capability in Capability.Names)
        {
            byte[] program = Program([capability]);
            foreach ((string name, string[] capabilities) in RefusedCalls())
            {
                int number = Libseccomp.ResolveSystemCall(FilterInterpreter.X64, name);
                if (number >= 0)
                {
                    bool allowed = FilterInterpreter.Run(program, FilterInterpreter.X64, number) == SeccompAction.Allow;
                    Assert.True(allowed == capabilities.Contains(capability), $"{name} with {capability}: allowed {allowed}");
                }
            }
        }
    }

    [Fact]
    public void The_paths_are_those_of_the_code()
    {
        string[] masked = [.. SystemPaths.Masked.Where(path => !path.EndsWith("/thermal_throttle", StringComparison.Ordinal))];
        Assert.Equal([.. masked, .. SystemPaths.Readonly], Section("Paths").Select(line => Item().Match(line)).Where(item => item.Success).Select(item => item.Groups[1].Value));
    }

    [Fact]
    public void The_devices_are_those_of_the_code()
    {
        string[] rules = [.. DeviceRules.Default.Where(rule => rule is { Allow: true, Access: "rwm" })
            .Select(rule => string.Create(CultureInfo.InvariantCulture, $"{rule.Type} {rule.Major}:{rule.Minor?.ToString(CultureInfo.InvariantCulture) ?? "*"}")).Order(StringComparer.Ordinal)];
        string[] listed = [.. Section("Devices").Select(line => Row().Match(line)).Where(row => row.Success).Select(row => row.Groups["second"].Value).Order(StringComparer.Ordinal)];
        Assert.Equal(rules, listed);
    }

    private static Dictionary<string, string[]> RefusedCalls() => Section("System calls").TakeWhile(line => line != "Allowed by argument:")
        .Select(line => Row().Match(line)).Where(row => row.Success)
        .ToDictionary(row => row.Groups["first"].Value, row => row.Groups["second"].Value.Split([',', ' ', '`'], StringSplitOptions.RemoveEmptyEntries));

    private static byte[] Program(IReadOnlyList<string> capabilities) =>
        SeccompCompiler.Build(SeccompProfile.Default.Resolve([.. capabilities], Architecture.X64, new Version(6, 1))!).Instructions.ToArray();

    private static IEnumerable<string> Section(string title) =>
        Document.Split('\n').SkipWhile(line => line != $"## {title}").Skip(1).TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal));

    /// <summary>Whether a number is a call at all on x86-64; the kernel has gaps.</summary>
    private static bool HasName(int number)
    {
        nint library = NativeLibrary.Load("libseccomp.so.2");
        var resolve = Marshal.GetDelegateForFunctionPointer<ResolveNumber>(NativeLibrary.GetExport(library, "seccomp_syscall_resolve_num_arch"));
        return resolve(FilterInterpreter.X64, number) != 0;
    }

    private static string Locate(string path)
    {
        for (DirectoryInfo? directory = new(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists($"{directory.FullName}/Slipway.slnx"))
            {
                return $"{directory.FullName}/{path}";
            }
        }

        throw new FileNotFoundException(path);
    }

    private delegate nint ResolveNumber(uint architecture, int number);

    [GeneratedRegex(@"^\| `(?<first>[^`]+)` \| (?<second>[^|]*?) ?\|")]
    private static partial Regex Row();

    [GeneratedRegex(@"^- `([^`]+)`$")]
    private static partial Regex Item();
}
