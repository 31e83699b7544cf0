const base = document.querySelector("meta[name=base]").content;
document.body.append(`The API is at ${base}.`);
