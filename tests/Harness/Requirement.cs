namespace Slipway.Tests.Harness;

/// <summary>What a test needs of the machine. In CI a missing requirement fails the test, elsewhere it skips it and says what to install.</summary>
public static class Requirement
{
    public static void Program(string name, string package)
    {
        var found = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, name)));
        Check(found, $"needs {name}: apt-get install {package}");
    }

    public static void Root() => Check(Environment.UserName == "root", "needs root: run it with sudo");

    /// <summary>The shared folder's path; skips the test without failing when the repository stands alone.</summary>
    public static string Shared()
    {
        Assert.SkipUnless(Repository.Shared is not null, "needs the shared images beside the repository (SLIPWAY_SHARED)");
        return Repository.Shared!;
    }

    public static void Check(bool met, string text)
    {
        if (met)
        {
            return;
        }
        if (Environment.GetEnvironmentVariable("CI") == "true")
        {
            Assert.Fail(text);
        }
        Assert.Skip(text);
    }
}
