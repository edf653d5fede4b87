using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Slipway.Kernel.Process;
using Xunit;

namespace Slipway.Tests.Kernel.Process;

/// <summary>The bytes of the stub and of the init are what their listing says, as read by somebody else's disassembler.</summary>
public sealed partial class LaunchStubTests
{
    [Fact]
    public void The_x64_code_disassembles_to_its_listing() =>
        Compare(LaunchStub.X64, "LaunchStub.X64", "objdump", "binutils", "-m", "i386:x86-64", "-M", "intel");

    [Fact]
    public void The_arm64_code_disassembles_to_its_listing() =>
        Compare(LaunchStub.Arm64, "LaunchStub.Arm64", "aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu", "-m", "aarch64");

    [Fact]
    public void The_x64_init_disassembles_to_its_listing() =>
        Compare(InitProgram.X64, "InitProgram.X64", "objdump", "binutils", "-m", "i386:x86-64", "-M", "intel");

    [Fact]
    public void The_arm64_init_disassembles_to_its_listing() =>
        Compare(InitProgram.Arm64, "InitProgram.Arm64", "aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu", "-m", "aarch64");

    [Fact]
    public void The_x64_relay_disassembles_to_its_listing() =>
        Compare(ExitRelay.X64, "ExitRelay.X64", "objdump", "binutils", "-m", "i386:x86-64", "-M", "intel");

    [Fact]
    public void The_arm64_relay_disassembles_to_its_listing() =>
        Compare(ExitRelay.Arm64, "ExitRelay.Arm64", "aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu", "-m", "aarch64");

    private static void Compare(ReadOnlySpan<byte> code, string array, string objdump, string package, params string[] options)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(file, code);
            string[] disassembled = [.. Instruction().Matches(Run(objdump, package, ["-D", "-b", "binary", .. options, file])).Select(m => Normal(m.Groups[1].Value))];
            Assert.NotEmpty(disassembled);
            Assert.Equal(Listing(array), disassembled);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static string[] Listing(string array)
    {
        string[] name = array.Split('.');
        string source = File.ReadAllText(SourcePath(name[0]));
        int start = source.IndexOf($"ReadOnlySpan<byte> {name[1]} =>", StringComparison.Ordinal);
        string body = source[start..source.IndexOf("];", start, StringComparison.Ordinal)];
        return [.. ListingLine().Matches(body).Select(m => Normal(m.Groups[1].Value))];
    }

    private static string Normal(string instruction) => Spaces().Replace(instruction.Trim(), " ");

    private static string SourcePath(string type, [CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, $"../../../src/Slipway.Kernel/Process/{type}.cs"));

    private static string Run(string program, string package, IEnumerable<string> arguments)
    {
        try
        {
            using var process = System.Diagnostics.Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return output;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            throw new InvalidOperationException($"this test needs {program}: apt-get install {package}");
        }
    }

    [GeneratedRegex(@"^\s*[0-9a-f]+:\t[0-9a-f ]+\t([^\n/]*)", RegexOptions.Multiline)]
    private static partial Regex Instruction();

    [GeneratedRegex(@"// [0-9a-f]{2,3}: ([^;\n]*)")]
    private static partial Regex ListingLine();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
