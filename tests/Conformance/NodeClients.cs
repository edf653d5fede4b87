using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance;

/// <summary>Programs of clients/ that use other people's packages of Node.js.</summary>
internal static class NodeClients
{
    private static readonly SemaphoreSlim s_installing = new(1);

    public static string Sources { get; } = Path.Combine(Repository.Root, "tests/Conformance/clients");

    public static async Task RequireAsync(int version)
    {
        var install = $"needs Node.js {version} with npm: https://nodejs.org, or apt-get install npm where Debian has it";
        Requirement.Program("npm", "npm");
        var installed = (await Programs.Run("node", ["--version"])).Ok().Line;
        Requirement.Check(int.Parse(installed.TrimStart('v').Split('.')[0], System.Globalization.CultureInfo.InvariantCulture) >= version, $"{install}; this is {installed}");
    }

    public static async Task<CliResult> Run(string program, string[] arguments, IReadOnlyDictionary<string, string> environment)
    {
        // Below artifacts/, so that the checkout stays as it is and later runs find it. The registry is the machine's own setting: the
        // lock names none.
        var folder = Directory.CreateDirectory(Path.Combine(Repository.Root, "artifacts/clients")).FullName;
        await s_installing.WaitAsync(TestContext.Current.CancellationToken);
        try
        {
            var manifest = await File.ReadAllTextAsync(Path.Combine(Sources, "package-lock.json"), TestContext.Current.CancellationToken);
            var installed = Path.Combine(folder, "installed.json");
            if (!File.Exists(installed) || manifest != await File.ReadAllTextAsync(installed, TestContext.Current.CancellationToken))
            {
                foreach (var file in new[] { "package.json", "package-lock.json" })
                {
                    File.Copy(Path.Combine(Sources, file), Path.Combine(folder, file), overwrite: true);
                }

                (await Programs.Run("npm", ["ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"], limit: Programs.Limit(180))).Ok();
                await File.WriteAllTextAsync(installed, manifest, TestContext.Current.CancellationToken);
            }
        }
        finally
        {
            s_installing.Release();
        }

        File.Copy(Path.Combine(Sources, program), Path.Combine(folder, program), overwrite: true);
        return await Programs.Run("node", [Path.Combine(folder, program), .. arguments], limit: Programs.Limit(120), environment: environment);
    }
}
