using System.Text.RegularExpressions;

namespace Slipway.Build.Scaffolding;

/// <summary>Python: packages in a virtual environment that is taken over whole, the program beside it.</summary>
internal sealed partial class PythonTemplate : IProjectTemplate
{
    private const string DefaultVersion = "3.13";

    public string Name => "python";

    public bool Fits(ProjectFolder folder) => folder.First("requirements.txt", "pyproject.toml", "setup.py", "manage.py", "main.py", "app.py") is not null;

    public Scaffold Make(ProjectFolder folder)
    {
        string packages = folder.Text("requirements.txt") + folder.Text("pyproject.toml");
        List<string> guesses = ["the port: 8000"];
        string? version = folder.Text(".python-version") is var pinned && Version().Match(pinned) is { Success: true } exact ? exact.Value
            : Required().Match(folder.Text("pyproject.toml")) is { Success: true } lowest ? lowest.Groups[1].Value
            : null;
        if (version is null)
        {
            guesses.Add($"the version of Python: {DefaultVersion}");
        }

        version ??= DefaultVersion;
        string install = folder.Has("requirements.txt")
            ? "COPY requirements.txt .\nRUN --mount=type=cache,target=/root/.cache/pip pip install -r requirements.txt"
            : folder.First("pyproject.toml", "setup.py") is not null ? "COPY . .\nRUN --mount=type=cache,target=/root/.cache/pip pip install ."
            : "# No packages are named: name them in requirements.txt.";
        (string command, bool guessed) = Command(folder, packages);
        if (guessed)
        {
            guesses.Add($"the program: {command}");
        }

        string file = $"""
            # syntax=docker/dockerfile:1
            FROM python:{version}-slim AS build
            WORKDIR /app
            RUN python -m venv /venv
            ENV PATH=/venv/bin:$PATH
            {install}

            FROM python:{version}-slim
            ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
            WORKDIR /app
            COPY --from=build /venv /venv
            COPY . .
            USER {ProjectTemplates.User}
            EXPOSE 8000
            CMD {command}

            """;
        return new Scaffold($"Python {version}", file, ProjectTemplates.IgnoreFile("**/__pycache__", "**/*.pyc", ".venv", "venv", ".tox", ".pytest_cache", ".mypy_cache", "*.egg-info"), 8000, guesses);
    }

    private static (string Command, bool Guessed) Command(ProjectFolder folder, string packages)
    {
        string? module = folder.First("main.py", "app.py", "asgi.py", "wsgi.py", "server.py") is { } file ? Path.GetFileNameWithoutExtension(file) : null;
        if (folder.Has("manage.py"))
        {
            string? site = folder.Find("wsgi.py").FirstOrDefault(path => path.Contains('/', StringComparison.Ordinal));
            return site is not null && Uses(packages, "gunicorn")
                ? (ProjectTemplates.Exec("gunicorn", "--bind", "0.0.0.0:8000", $"{Path.GetDirectoryName(site)!.Replace('/', '.')}.wsgi"), false)
                : (ProjectTemplates.Exec("python", "manage.py", "runserver", "0.0.0.0:8000"), false);
        }

        return module is null ? (ProjectTemplates.Exec("python", "-m", folder.Name), true)
            : Uses(packages, "uvicorn") || Uses(packages, "fastapi") ? (ProjectTemplates.Exec("uvicorn", $"{module}:app", "--host", "0.0.0.0", "--port", "8000"), true)
            : Uses(packages, "gunicorn") ? (ProjectTemplates.Exec("gunicorn", "--bind", "0.0.0.0:8000", $"{module}:app"), true)
            : Uses(packages, "flask") ? (ProjectTemplates.Exec("flask", "--app", module, "run", "--host", "0.0.0.0", "--port", "8000"), true)
            : (ProjectTemplates.Exec("python", $"{module}.py"), false);
    }

    /// <summary>Whether a package is among those that are named, by its own name and not as a part of another's.</summary>
    private static bool Uses(string packages, string name) => Regex.IsMatch(packages, $@"(?<![\w-]){Regex.Escape(name)}(?![\w-])", RegexOptions.IgnoreCase);

    [GeneratedRegex(@"^\d+\.\d+", RegexOptions.Multiline)]
    private static partial Regex Version();

    [GeneratedRegex(@"requires-python\s*=\s*[""'][~>=^]*\s*(\d+\.\d+)")]
    private static partial Regex Required();
}
